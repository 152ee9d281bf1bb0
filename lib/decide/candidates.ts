import type { Manifest, PackedRegular } from '../container/types.js'
import type { ElfFacts } from '../elf/types.js'
import { readLoader } from '../loader/loader.js'
import { Finder } from './finder.js'
import { Contents } from './home.js'
import { hostPath, leadsTo } from './host-paths.js'
import type { Host } from './types.js'

/** One of the two libraries that could fill a soname. */
export interface LibraryCandidate {
  readonly path: string
  readonly bytes: number
  /** The package that ships it, with its version; null where none does or nobody knows. */
  readonly package: { readonly name: string; readonly version: string } | null
  /** Versions that it defines. */
  readonly versions: readonly string[]
  readonly buildId: string | null
}

/** The host's library of a soname, as its loader finds it, and the container's; null where there is none. */
export function candidatesFor(
  manifest: Manifest,
  host: Host,
  soname: string,
): { readonly host: LibraryCandidate | null; readonly container: LibraryCandidate | null } {
  const contents = new Contents(manifest)
  const file = contents.libraries.get(soname)
  return { host: onHost(host, contents, soname), container: file ? packedCandidate(manifest, file) : null }
}

/** A file of the container as a candidate; null where it is no ELF file. */
export function packedCandidate({ packages }: Manifest, file: PackedRegular): LibraryCandidate | null {
  const pkg = packages.find(({ name }) => name === file.package) ?? null
  return file.elf === undefined ? null : describe(file.path, file.size, pkg, file.elf)
}

function onHost(host: Host, contents: Contents, soname: string): LibraryCandidate | null {
  const { fs, facts, packages } = host
  const interpreter = contents.programs()[0]?.elf?.interpreter ?? null
  const known = interpreter !== null && fs.lstat(hostPath(fs, interpreter)) !== null
  const loaders = [known ? readLoader(fs, interpreter) : null, contents.manifest.source.loader]
  const finder = new Finder(
    host,
    loaders.filter(loader => loader !== null),
    facts,
  )
  const first = finder.reachable(soname)[0]
  const path = first === undefined ? null : leadsTo(fs, first)
  const stat = path === null ? null : fs.lstat(path)
  if (path === null || stat?.kind !== 'file') return null
  const elf = facts.inspect(fs, path, stat).facts
  return elf === null ? null : describe(path, stat.size, packages?.ownersOf(path)[0] ?? null, elf)
}

function describe(
  path: string,
  bytes: number,
  pkg: { readonly name: string; readonly version: string } | null,
  { verdefs, buildId }: ElfFacts,
): LibraryCandidate {
  return {
    path,
    bytes,
    package: pkg && { name: pkg.name, version: pkg.version },
    versions: verdefs.map(({ name }) => name),
    buildId,
  }
}
