import { AppcError } from '../errors.js'
import { join } from '../loader/file-system.js'

/**
 * What `strace -f -y -xx` wrote of the calls below, read line by line. With -xx every byte of a path is `\x` and two digits, so that
 * no path, whatever bytes are in it, can look like anything else; -y tells of each descriptor what it is open on.
 */
export const TRACED = ['?open', 'openat', '?openat2', 'execve', '?execveat', 'pivot_root']

/** A run in figures of the file system. All paths are absolute, in the root that the command has. */
export interface Opened {
  /** Files that were opened for reading and not written to: the name that was used → where its links ended. */
  readonly files: ReadonlyMap<string, string>
  /** Programs and scripts that were executed, by the name that was used. */
  readonly programs: ReadonlySet<string>
}

export interface ReadOptions {
  /** Counts only what comes after a process has changed its root: what leads there is the launcher's. */
  readonly afterNewRoot: boolean
  /** Files that do not count are forgotten at once: a program may look at some of /proc a million times. */
  readonly counts: (path: string) => boolean
  /** How many files there may be; absent: as many as in a manifest. */
  readonly most?: number
}

const MAX_PATHS = 1_000_000
/** Three paths, each up to PATH_MAX, of four characters a byte, with the call around them. */
const MAX_LINE = 65_536

const HEX = String.raw`((?:\\x[0-9a-f]{2})*)`
const LINE = /^(\d+) +(.*)$/
/** The call had not returned when another process did something, or when its thread took over the process by it. */
const UNFINISHED = /^(.*) <(?:unfinished|pid changed to \d+) \.\.\.>$/
const RESUMED = /^<\.\.\. \w+ resumed>(.*)$/
/** It may come in the middle of a line: of a call that its thread had begun. */
const SUPERSEDED = /\+\+\+ superseded by execve in pid (\d+) \+\+\+/
const CALL = new RegExp(String.raw`^(\w+)\((.*)\) += (\d+)(?:<${HEX}>)?`)
/** A directory's descriptor, before the path that is looked up from it. */
const FROM = new RegExp(String.raw`^(AT_FDCWD|\d+)(?:<${HEX}[^>]*>)?[^,]*, (.*)$`)
const PATH = new RegExp(`^"${HEX}"(.*)$`)

/** The lines of a file that comes in pieces. One that is too long for any call is left out. */
export function* linesOf(pieces: Iterable<Buffer>): Iterable<string> {
  let rest = ''
  let tooLong = false
  for (const piece of pieces) {
    const lines = (rest + piece.toString('latin1')).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (!tooLong && line.length <= MAX_LINE) yield line
      tooLong = false
    }
    if (rest.length <= MAX_LINE) continue
    rest = ''
    tooLong = true
  }
}

/** null when the command never began to run. Throws RECORD_FAILED for a run that opens more files than a container can hold. */
export function readStrace(lines: Iterable<string>, options: ReadOptions): Opened | null {
  const reader = new Reader(options)
  for (const line of lines) reader.read(line)
  return reader.result()
}

class Reader {
  readonly #options: ReadOptions
  readonly #files = new Map<string, string>()
  readonly #written = new Set<string>()
  readonly #programs = new Set<string>()
  /** Calls that had not returned when another process did something, by process. */
  readonly #pending = new Map<string, string>()
  /** Programs that were named from a working directory that is not known yet, by process. */
  readonly #relative = new Map<string, string>()
  #counting: boolean
  #started = false

  constructor(options: ReadOptions) {
    this.#options = options
    this.#counting = !options.afterNewRoot
  }

  result(): Opened | null {
    for (const [name, real] of this.#files) if (this.#written.has(real)) this.#files.delete(name)
    return this.#started ? { files: this.#files, programs: this.#programs } : null
  }

  read(line: string): void {
    const [, pid, text] = LINE.exec(line) ?? []
    if (pid === undefined || text === undefined) return
    const [, begun] = UNFINISHED.exec(text) ?? []
    if (begun !== undefined) {
      this.#pending.set(pid, begun)
      return
    }
    const [, end] = RESUMED.exec(text) ?? []
    // A thread that executes takes over the process; strace 6.1 then calls the result an error, though it is none.
    const [, thread] = SUPERSEDED.exec(text) ?? []
    if (end !== undefined) this.#call(pid, this.#take(pid) + end)
    else if (thread !== undefined) this.#call(pid, `${this.#take(thread)}) = 0`)
    else this.#call(pid, text)
  }

  #take(pid: string): string {
    const text = this.#pending.get(pid) ?? ''
    this.#pending.delete(pid)
    return text
  }

  #call(pid: string, text: string): void {
    const [, name, args = '', , opened] = CALL.exec(text) ?? []
    if (name === 'pivot_root') this.#counting = true
    if (!this.#counting) return
    if (name === 'execve') this.#executed(pid, null, args)
    else if (name === 'open') this.#opened(null, args, opened)
    else if (name === 'execveat' || name === 'openat' || name === 'openat2') {
      const [, descriptor, hex, rest = ''] = FROM.exec(args) ?? []
      const directory = hex === undefined ? null : decode(hex)
      if (descriptor === 'AT_FDCWD' && directory !== null) this.#learn(pid, directory)
      if (name === 'execveat') this.#executed(pid, directory, rest)
      else this.#opened(directory, rest, opened)
    }
  }

  #opened(directory: string | null, args: string, opened: string | undefined): void {
    const [, hex, rest = ''] = PATH.exec(args) ?? []
    if (hex === undefined || opened === undefined) return
    const real = decode(opened)
    const name = absolute(directory, decode(hex)) ?? real
    if (!this.#options.counts(name) || !this.#options.counts(real)) return
    const flags = new Set(rest.match(/\bO_[A-Z]+/g))
    if (['O_WRONLY', 'O_RDWR', 'O_CREAT', 'O_TRUNC'].some(flag => flags.has(flag))) this.#written.add(real)
    else if (flags.has('O_RDONLY') && !flags.has('O_PATH') && !flags.has('O_DIRECTORY')) this.#files.set(name, real)
    this.#checkCount()
  }

  /** The kernel tells no one where a program was found; but by its first call, the loader's, it does where it was looked for. */
  #executed(pid: string, directory: string | null, args: string): void {
    const [, hex] = PATH.exec(args) ?? []
    if (hex === undefined) return
    this.#started = true
    const name = decode(hex)
    // execveat(fd, "", …, AT_EMPTY_PATH) executes what the descriptor is open on.
    const path = name === '' ? directory : absolute(directory, name)
    if (path === null) this.#relative.set(pid, name)
    else this.#programs.add(path)
    this.#checkCount()
  }

  #learn(pid: string, workingDirectory: string): void {
    const name = this.#relative.get(pid)
    if (name === undefined) return
    this.#relative.delete(pid)
    this.#programs.add(join(workingDirectory, name))
  }

  #checkCount(): void {
    const { most = MAX_PATHS } = this.#options
    if (this.#files.size + this.#written.size + this.#programs.size <= most) return
    throw new AppcError('RECORD_FAILED', 'what the command opened cannot be recorded', {
      because: `it opened more than ${most} files`,
      hint: 'record a shorter run, or take the directories by --include',
    })
  }
}

/** null where it is not known from where the name was looked up. */
function absolute(directory: string | null, name: string): string | null {
  if (name.startsWith('/')) return name
  return directory === null ? null : join(directory, name)
}

/** Bytes that are not UTF-8 are lost, and known by what stands for them (REPLACEMENT). */
function decode(hex: string): string {
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex').toString()
}
