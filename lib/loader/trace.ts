import type { LoaderAnswer, NamedFile } from './verify.js'

/** What the real loader printed when it was asked to tell what it loads for a file, and how it ended. */
export interface Trace {
  readonly kind: 'glibc' | 'musl'
  /** The file as it was named to the loader, and the directory in which the loader ran. */
  readonly file: string
  readonly directory: string
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export function parseTrace(trace: Trace): LoaderAnswer {
  return trace.kind === 'musl' ? parseMusl(trace) : parseGlibc(trace)
}

/** glibc, elf/rtld.c in trace mode: libraries on stdout, versions on stderr; where it cannot go on, only why. */
function parseGlibc({ file, directory, status, stdout, stderr }: Trace): LoaderAnswer {
  const versions = stderr.matchAll(/^.*?: (\S.*): version `(.*)' not found \(required by (.*)\)$/gm)
  return {
    libraries: libraries(stdout, directory),
    missing: unique(stdout.matchAll(/^\t(.*) => not found$/gm)),
    missingVersions: [...versions].map(([, path = '', version = '', by = '']) => ({
      path: absolute(path, directory),
      version,
      by: absolute(by, directory),
    })),
    refused: status === 0 ? null : refusedBy(`${file}: error while loading shared libraries: `, stderr, directory),
  }
}

/**
 * musl 1.2, ldso/dynlink.c with `--list`: a line for each library when it is loaded, and one on stderr for each that is not; it goes on
 * to the end. That symbols are missing then makes it fail too, which is not what it was asked.
 */
function parseMusl({ directory, status, stdout, stderr }: Trace): LoaderAnswer {
  const [itself, ...loaded] = libraries(stdout, directory)
  return {
    libraries: loaded,
    missing: unique(stderr.matchAll(/^Error loading shared library (.*?): .* \(needed by .*\)$/gm)),
    missingVersions: [],
    // It tells of itself first, unless the file is no program that it could start.
    refused: itself === undefined ? (stderr.split('\n')[0] ?? String(status)) : null,
  }
}

/** The kernel maps it into every process; it is no file, and its path is its name. */
const KERNELS_OWN = /^linux-(?:gate|vdso(?:32|64)?)\.so\.1$/

/** Lines like `\tlibc.so.6 => /lib/…/libc.so.6 (0x…)`, or `\t/lib64/ld-linux-x86-64.so.2 (0x…)` for one with its path as name. */
function libraries(stdout: string, directory: string): NamedFile[] {
  return [...stdout.matchAll(/^\t(.*?)(?: => (.*))? \((?:0x[0-9a-f]+|0)\)$/gm)].flatMap(([, name = '', path = name]) =>
    KERNELS_OWN.test(path) ? [] : [{ name, path: absolute(path, directory) }],
  )
}

const PROGRAM_REFUSED = 'cannot dynamically load position-independent executable'

/** The path, or where it tells of no path the name, that the last message begins with; the whole message where it is about something else. */
function refusedBy(start: string, stderr: string, directory: string): string {
  const message = stderr.trimEnd().split('\n').at(-1) ?? ''
  if (!message.startsWith(start)) return message
  const [path = '', because] = message.slice(start.length).split(': ')
  // Of a program that was to be loaded as a library it tells the name that was asked for.
  return because === PROGRAM_REFUSED && !path.includes('/') ? path : absolute(path, directory)
}

/** As the resolver has it: relative to the working directory, and not otherwise put in order. */
function absolute(path: string, directory: string): string {
  if (path.startsWith('/')) return path
  return `${directory === '/' ? '' : directory}/${path.replace(/^(?:\.\/+)+/, '')}`
}

function unique(matches: Iterable<RegExpMatchArray>): string[] {
  return [...new Set([...matches].map(([, name = '']) => name))]
}
