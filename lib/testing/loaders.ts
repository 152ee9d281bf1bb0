import { AppcError } from '../errors.js'
import { base } from '../loader/file-system.js'
import { INTERPRETERS, VERSION_ASSERTION } from '../loader/loader.js'
import { buildElf } from './build-elf.js'
import { targetOf } from './machines.js'
import type { ElfDescription } from './types.js'

export interface GlibcLoader extends ElfDescription {
  /** [2.36]. Before 2.33 the file says nothing of it, and is told by its name: put it at `…/ld-2.31.so`. */
  readonly version?: readonly [number, number]
  /** [/lib and /usr/lib] */
  readonly systemDirectories?: readonly string[]
  /** What $LIB stands for. ['lib'] */
  readonly lib?: string
  /** Ends by an assertion where a file without version tables is asked for a version, as builds until 2.36 do. [no] */
  readonly assertsVersions?: true
}

/** A file that is read as glibc's loader: it has what a loader of that build has in its strings. It cannot load anything. */
export function glibcLoader(loader: GlibcLoader = {}): Buffer {
  const { version = [2, 36], systemDirectories = ['/lib', '/usr/lib'], lib = 'lib', ...rest } = loader
  const { assertsVersions, ...description } = rest
  const [major, minor] = version
  const banner = major > 2 || minor >= 33 ? `ld.so (GNU libc) stable release version ${major}.${minor}.\n` : ''
  const { glibc } = interpretersOf(description)
  return buildElf({
    soname: base(glibc),
    ...description,
    rodata: strings([
      'ORIGIN',
      'PLATFORM',
      'LIB',
      lib,
      '',
      ...systemDirectories.map(path => `${path}/`),
      '',
      banner,
      ...(assertsVersions ? [VERSION_ASSERTION] : []),
    ]),
  })
}

/** The same for musl's, which is loader and C library in one. */
export function muslLoader(description: ElfDescription = {}): Buffer {
  const { musl } = interpretersOf(description)
  return buildElf({
    ...description,
    rodata: strings([`musl libc (${musl})\nVersion %s\nDynamic Program Loader\n`, `%.*s/etc/ld-musl-${musl}.path`]),
  })
}

function strings(texts: readonly string[]): Buffer {
  return Buffer.from(`\0${texts.join('\0')}\0`)
}

function interpretersOf(description: ElfDescription): { readonly glibc: string; readonly musl: string } {
  const { machine, wide } = targetOf(description)
  const known = INTERPRETERS[`${machine}/${wide ? 64 : 32}`]
  if (known === undefined) throw new AppcError('FIXTURE_INVALID', `no loader is known for machine ${machine}`)
  return known
}
