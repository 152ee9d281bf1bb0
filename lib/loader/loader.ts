import { readElf } from '../elf/reader.js'
import type { ElfFacts } from '../elf/types.js'
import { AppcError } from '../errors.js'
import { errorCode, join, parent, readWhole, resolvePath } from './file-system.js'
import { remember } from './remember.js'
import type { FileSystem, Loader } from './types.js'

/** $PLATFORM: AT_PLATFORM as the kernel gives it for the plain machine. */
const PLATFORMS: Readonly<Record<number, string>> = {
  3: 'i686',
  20: 'powerpc',
  21: 'powerpc64le',
  40: 'v7l',
  62: 'x86_64',
  183: 'aarch64',
}

/** A loader is some 200 KiB, musl's with its C library 800; more is not read. */
const MAX_LOADER_SIZE = 64 * 1024 * 1024
/** A list of directories; one that is longer counts as unreadable. */
const MAX_PATH_FILE_SIZE = 1024 * 1024

/**
 * What the loader at `interpreter` does, from its own bytes: distributions build theirs with their own directories.
 * FILE_MISSING where it is not there, LOADER_UNKNOWN where it is neither glibc's nor musl's.
 */
export function readLoader(fs: FileSystem, interpreter: string): Loader {
  const { path: realPath } = resolvePath(fs, interpreter)
  if (realPath === null) throw new AppcError('FILE_MISSING', `the interpreter ${interpreter} does not exist`)
  const { text, facts } = readLoaderFile(fs, realPath)
  const common = {
    path: interpreter,
    realPath,
    class: facts.class,
    data: facts.data,
    machine: facts.machine,
    platform: PLATFORMS[facts.machine] ?? '',
  }
  if (text.startsWith('musl libc') || text.includes('\0musl libc')) {
    return {
      ...common,
      kind: 'musl',
      version: [1, 2],
      systemDirectories: muslDirectories(fs, interpreter, text),
      lib: 'lib',
    }
  }
  const systemDirectories = glibcDirectories(text)
  const version = glibcVersion(fs, realPath, text)
  if (version === null || systemDirectories.length === 0) throw unknown(interpreter)
  const asserts = text.includes(`\0${VERSION_ASSERTION}`)
  const lib = glibcLib(text, systemDirectories)
  return { ...common, kind: 'glibc', version, systemDirectories, lib, ...(asserts && { assertsVersions: true }) }
}

function readLoaderFile(fs: FileSystem, path: string): { text: string; facts: ElfFacts } {
  const file = fs.open(path)
  try {
    if (file.size > MAX_LOADER_SIZE) throw unknown(path)
    const bytes = Buffer.allocUnsafe(file.size)
    return { facts: readElf(file), text: bytes.toString('latin1', 0, file.read(bytes, 0)) }
  } catch (error) {
    // Who names it as an interpreter may be hostile or damaged: say which file it is that is none.
    throw error instanceof AppcError ? unknown(path, error.message) : error
  } finally {
    file.close()
  }
}

function unknown(path: string, because = 'its strings name no version and no system directories'): AppcError {
  return new AppcError('LOADER_UNKNOWN', `${path} is neither glibc's loader nor musl's`, {
    because,
    hint: 'only these two are known; appc tree tells which interpreter a program names',
  })
}

/**
 * Directories in a row, in each of which a component begins with `lib`. Every repetition has a bound, and nothing is matched in
 * two ways: on a hostile file, the expression engine would else run out of stack or of time.
 */
const DIRECTORIES = /(?:\/(?=(?:[\w.+-]{1,255}\/){0,15}lib)(?:[\w.+-]{1,255}\/){1,16}\0){1,64}/y

/** glibc 2.36, elf/dl-load.c: system_dirs is one array of NUL-ended directories, each with a trailing slash. */
function glibcDirectories(text: string): string[] {
  let longest = ''
  // Patterns are tried only where a literal is found: two hundred kilobytes are long for them.
  for (let at = text.indexOf('\0/'); at !== -1; at = text.indexOf('\0/', at)) {
    DIRECTORIES.lastIndex = at + 1
    const run = DIRECTORIES.exec(text)?.[0] ?? ''
    if (run.length > longest.length) longest = run
    at += Math.max(1, run.length)
  }
  return [...new Set(longest.split('\0').filter(part => part !== ''))].map(part => part.slice(0, -1))
}

/** DL_DST_LIB follows the token's name in the literals of elf/dl-load.c; elsewhere it is the first system directory. */
function glibcLib(text: string, directories: readonly string[]): string {
  const at = text.indexOf('\0LIB\0lib')
  const literal = at === -1 ? undefined : /^\0LIB\0(lib[\w./+-]{0,4096})\0/.exec(text.slice(at, at + 5000))?.[1]
  return literal ?? (directories[0] as string).replace(/^\/(?:usr\/)?/, '')
}

/** The assertion in check_match (elf/dl-lookup.c) begins so, which 2.36 has and 2.41 has not. */
export const VERSION_ASSERTION = 'version->filename == NULL || '

const BANNER = /(?:stable|development) release version (\d{1,4})\.(\d{1,4})/

/** null where there is none. */
function banner(text: string): RegExpExecArray | null {
  const at = text.indexOf(' release version ')
  return at === -1 ? null : BANNER.exec(text.slice(Math.max(0, at - 16), at + 32))
}

/**
 * The loader has a banner since 2.33 (`ld.so --version`). Before that, its file is `ld-2.31.so`; failing that too, the C
 * library beside it, which is of the same build, tells.
 */
function glibcVersion(fs: FileSystem, realPath: string, text: string): readonly [number, number] | null {
  const own = banner(text) ?? /\/ld-(\d+)\.(\d+)\.so$/.exec(realPath)
  if (own !== null) return [Number(own[1]), Number(own[2])]
  const { path: library } = resolvePath(fs, join(parent(realPath), 'libc.so.6'))
  const beside = library === null ? null : banner(readLoaderFile(fs, library).text)
  return beside === null ? null : [Number(beside[1]), Number(beside[2])]
}

/** musl 1.2, ldso/dynlink.c: the file named by a literal, under the loader's path less two components. */
function muslDirectories(fs: FileSystem, interpreter: string, text: string): string[] {
  const name = /%\.\*s(\/etc\/ld-musl-[\w.-]{1,64}\.path)\0/.exec(text)?.[1]
  if (name === undefined) throw unknown(interpreter)
  const prefix = interpreter.split('/').slice(0, -2).join('/')
  if (isAbsent(fs, prefix + name)) return ['/lib', '/usr/local/lib', '/usr/lib']
  // One that is there but cannot be read leaves no directories at all. What is read ends, as C's strings do, at a NUL.
  const paths =
    readWhole(fs, prefix + name, MAX_PATH_FILE_SIZE)
      ?.toString()
      .split('\0', 1)[0] ?? ''
  return paths.split(/[:\n]+/).filter(part => part !== '')
}

/** ENOENT, as opposed to all else that keeps a file from being opened. */
function isAbsent(fs: FileSystem, path: string): boolean {
  try {
    const { missing } = resolvePath(fs, path)
    return missing !== null && fs.lstat(missing) === null
  } catch (error) {
    errorCode(error)
    return false
  }
}

/** PT_INTERP as the psABI of each machine fixes it for glibc, and the architecture's name in musl's. */
export const INTERPRETERS: Readonly<Record<string, { glibc: string; musl: string }>> = {
  '3/32': { glibc: '/lib/ld-linux.so.2', musl: 'i386' },
  '20/32': { glibc: '/lib/ld.so.1', musl: 'powerpc' },
  '21/64': { glibc: '/lib64/ld64.so.2', musl: 'powerpc64le' },
  '22/64': { glibc: '/lib/ld64.so.1', musl: 's390x' },
  '40/32': { glibc: '/lib/ld-linux-armhf.so.3', musl: 'armhf' },
  '62/32': { glibc: '/libx32/ld-linux-x32.so.2', musl: 'x32' },
  '62/64': { glibc: '/lib64/ld-linux-x86-64.so.2', musl: 'x86_64' },
  '183/64': { glibc: '/lib/ld-linux-aarch64.so.1', musl: 'aarch64' },
  '243/64': { glibc: '/lib/ld-linux-riscv64-lp64d.so.1', musl: 'riscv64' },
}

const usual = new WeakMap<FileSystem, Map<string, string | null>>()

/** The loader that would load a library in this root; null where there is none. Libraries themselves do not name it. */
export function usualInterpreter(fs: FileSystem, facts: ElfFacts): string | null {
  const order = usualInterpreters(facts)
  const first = order[0]
  if (first === undefined) return null
  const found = remember(usual, fs, () => new Map<string, string | null>())
  return remember(found, first, () => order.find(path => resolvePath(fs, path).path !== null) ?? null)
}

/** Where the loaders of a file's machine are, whether they are there or not; the likelier first. */
export function usualInterpreters({ machine, class: bits, needed }: ElfFacts): readonly string[] {
  const known = INTERPRETERS[`${machine}/${bits}`]
  if (known === undefined) return []
  const musl = `/lib/ld-musl-${known.musl}.so.1`
  // glibc's C library has a version in its name (libc.so.6), musl's has none.
  return needed.some(name => /^libc\.(so|musl-.*)$/.test(name)) ? [musl, known.glibc] : [known.glibc, musl]
}
