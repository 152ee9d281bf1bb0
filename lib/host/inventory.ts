import { createHash } from 'node:crypto'
import { readElf } from '../elf/reader.js'
import type { ElfFacts } from '../elf/types.js'
import { AppcError } from '../errors.js'
import { LibraryCache } from '../loader/cache.js'
import { isOutOfReach, join, resolvePath } from '../loader/file-system.js'
import { readLoader } from '../loader/loader.js'
import type { FileStat, FileSystem, Loader } from '../loader/types.js'
import { type OperatingSystem, readOperatingSystem } from './os.js'

/** What a host offers to containers. Equal digests, equal hosts. */
export interface Inventory {
  readonly schema: 'appc.inventory/1'
  /** sha256 of all that follows, as JSON. */
  readonly digest: string
  readonly os: OperatingSystem | null
  readonly kernel: Kernel
  readonly cpu: { readonly machine: number; readonly level: number }
  /** null for a root that has no dynamic loader. */
  readonly loader: Loader | null
  /** By path: every library that the loader would find by name. */
  readonly libraries: readonly InventoryLibrary[]
}

export interface Kernel {
  /** utsname.release. */
  readonly release: string
  /** Found by trying: null where it works, else the name of the error (EPERM, ENODEV, …). */
  readonly features: Readonly<Record<string, string | null>>
}

export interface InventoryLibrary {
  readonly soname: string
  readonly path: string
  readonly versions: readonly string[]
  readonly buildId: string | null
}

/** What earlier runs found out, by the file's identity; see lib/store/memory.ts. */
export interface LibraryMemory {
  get(stat: FileStat): Omit<InventoryLibrary, 'path'> | null | undefined
  /** null: no library. */
  set(stat: FileStat, library: Omit<InventoryLibrary, 'path'> | null): void
}

/** Programs that every system with a dynamic loader has; the first that is there tells which loader that is. */
const USUAL_PROGRAMS = ['/bin/sh', '/usr/bin/env', '/bin/ls', '/sbin/init', '/usr/bin/bash']

/** Takes stock of a root. Reads the heads of some two thousand files; with a memory only of those that are new. */
export function takeStock(
  fs: FileSystem,
  machine: { readonly kernel: Kernel; readonly cpuLevel: number },
  memory: LibraryMemory,
): Inventory {
  const loader = usualLoader(fs)
  const contents = {
    os: readOperatingSystem(fs),
    kernel: machine.kernel,
    cpu: { machine: loader?.machine ?? 0, level: machine.cpuLevel },
    loader,
    libraries: loader === null ? [] : librariesOf(fs, loader, memory),
  }
  const digest = createHash('sha256').update(JSON.stringify(contents)).digest('hex')
  return { schema: 'appc.inventory/1', digest, ...contents }
}

function usualLoader(fs: FileSystem): Loader | null {
  for (const program of USUAL_PROGRAMS) {
    const { path } = resolvePath(fs, program)
    const interpreter = path === null ? null : (readFacts(fs, path)?.interpreter ?? null)
    if (interpreter !== null && resolvePath(fs, interpreter).path !== null) return readLoader(fs, interpreter)
  }
  return null
}

function librariesOf(fs: FileSystem, loader: Loader, memory: LibraryMemory): readonly InventoryLibrary[] {
  const found = new Map<string, InventoryLibrary>()
  for (const candidate of candidates(fs, loader)) {
    const library = unlessClosed(() => inspect(fs, candidate, loader, memory))
    if (library !== null) found.set(library.path, library)
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
}

function inspect(fs: FileSystem, candidate: string, loader: Loader, memory: LibraryMemory): InventoryLibrary | null {
  const { path } = resolvePath(fs, candidate)
  const stat = path === null ? null : fs.lstat(path)
  if (path === null || stat?.kind !== 'file') return null
  let library = memory.get(stat)
  if (library === undefined) {
    library = describe(path, readFacts(fs, path), loader)
    memory.set(stat, library)
  }
  return library === null ? null : { ...library, path }
}

/** What the loader cannot open it passes over, and looks further: such a name is none that it would find. */
function unlessClosed<T>(look: () => T): T | null {
  try {
    return look()
  } catch (error) {
    if (error instanceof AppcError || !isOutOfReach(error)) throw error
    return null
  }
}

/** Names in the system directories and their hwcaps twins, and all that the cache lists. */
function candidates(fs: FileSystem, loader: Loader): readonly string[] {
  const levels = ['', ...[2, 3, 4].map(level => `/glibc-hwcaps/x86-64-v${level}`)]
  const directories = loader.systemDirectories.flatMap(directory => levels.map(level => directory + level))
  const listed = directories.flatMap(directory => {
    const { path } = resolvePath(fs, directory)
    const names = path === null ? null : fs.readdir(path)
    return path === null ? [] : (names ?? []).filter(name => /\.so(\.|$)/.test(name)).map(name => join(path, name))
  })
  return [...listed, ...(LibraryCache.read(fs, loader)?.paths() ?? [])]
}

function describe(path: string, facts: ElfFacts | null, loader: Loader): Omit<InventoryLibrary, 'path'> | null {
  if (facts === null || facts.machine !== loader.machine || facts.class !== loader.class || facts.type !== 'dyn')
    return null
  return {
    soname: facts.soname ?? path.slice(path.lastIndexOf('/') + 1),
    versions: facts.verdefs.map(({ name }) => name),
    buildId: facts.buildId,
  }
}

/** null for what is no sound ELF file: a linker script among the libraries is no trouble of the host's. */
function readFacts(fs: FileSystem, path: string): ElfFacts | null {
  const file = fs.open(path)
  try {
    return readElf(file)
  } catch (error) {
    if (error instanceof AppcError && (error.code === 'ELF_NOT' || error.code === 'ELF_MALFORMED')) return null
    throw error
  } finally {
    file.close()
  }
}
