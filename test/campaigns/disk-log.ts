import { readFileSync } from 'node:fs'
import { Building, type Change, type Disk, type Inode, type Kind, type Naming } from './disk.js'
import type { Call } from './store-calls.js'

/**
 * What a command did to a disk, from a trace of its system calls (strace -y -xx, with all that was written): so it is the installed
 * program that is recorded, with what its native part does, and not a copy that was made for it.
 */
export function changesOf(calls: readonly Call[], disk: Disk, directory: string): readonly Change[] {
  const log = new Log(disk, directory)
  for (const call of calls) log.take(call)
  return log.changes
}

/** An open file. */
interface Open {
  readonly inode: number
  readonly appends: boolean
  position: number
}

/** Calls that look, or lock, or change what a crash may well lose: owners and times. */
const LOOKS =
  /^(access|faccessat2?|stat|lstat|fstat|newfstatat|statx|statfs|fstatfs|readlink|readlinkat|read|pread64|readv|getdents64|flock|fcntl|lseek|fadvise64|poll|mmap|getcwd|chdir|execve|inotify_add_watch|utimensat|f?l?chown|fchownat|[fl]?getxattr|[fl]?listxattr|mount|umount2|fsopen|fsconfig|fsmount|move_mount|open_tree|mount_setattr|pivot_root|dup|dup2|dup3|epoll_ctl|name_to_handle_at|ioctl)$/

class Log {
  readonly changes: Change[] = []
  readonly #now: Building
  readonly #directory: string
  readonly #open = new Map<number, Open>()

  constructor(disk: Disk, directory: string) {
    this.#now = new Building(disk)
    this.#directory = directory
  }

  take({ name, text, ours }: Call): void {
    const { words, result } = parse(text)
    if (result < 0) return
    const call = name.replace(/(at2?|64)$/, match => (match === '64' ? '' : 'at'))
    if (name === 'write' && words[0]?.startsWith('1<') === true) this.#do({ kind: 'told' })
    if (name === 'close') this.#open.delete(number(words[0]))
    else if (ours && !this.#takeNamed(call, words, result) && !this.#takeOpen(call, words, result) && !LOOKS.test(name))
      throw new Error(`what does this call do to a disk? ${text.slice(0, 500)}`)
  }

  /** Calls by path. */
  #takeNamed(call: string, words: readonly string[], result: number): boolean {
    const relative = call.endsWith('at')
    const [first = '', second = '', third = '', fourth = '', fifth = ''] = words
    const path = this.#path(relative ? second : first)
    const rest = relative ? third : second
    switch (call) {
      case 'open':
      case 'openat':
        this.#opened(result, path, rest, relative ? fourth : third)
        return true
      case 'mkdir':
      case 'mkdirat':
        this.#make(path, 'directory', octal(rest))
        return true
      case 'mknod':
      case 'mknodat':
        this.#make(path, 'whiteout', 0)
        return true
      case 'symlink':
      case 'symlinkat':
        this.#make(this.#path(relative ? third : second), 'symlink', 0o777, Buffer.from(unquoted(first)))
        return true
      case 'rmdir':
      case 'unlink':
      case 'unlinkat':
        this.#names({ ...this.#place(path), inode: null })
        return true
      case 'link':
      case 'linkat':
        this.#link(relative ? first : '', relative ? second : first, this.#path(relative ? fourth : second))
        return true
      case 'rename':
      case 'renameat':
        this.#rename(path, this.#path(relative ? fourth : second), relative ? fifth : '')
        return true
      case 'chmod':
      case 'fchmodat':
        this.#do({ kind: 'mode', inode: this.#at(path), mode: octal(rest) })
        return true
      case 'truncate':
        this.#do({ kind: 'size', inode: this.#at(path), size: number(second) })
        return true
      default:
        return false
    }
  }

  /** Calls by descriptor. */
  #takeOpen(call: string, words: readonly string[], result: number): boolean {
    if (call === 'copy_file_range') return this.#copy(words, result)
    const open = this.#open.get(number(words[0]))
    if (open === undefined) return false
    switch (call) {
      case 'write':
        this.#write(open, hex(words[1]), null)
        return true
      case 'pwrite':
        this.#write(open, hex(words[1]), number(words[3]))
        return true
      case 'ftruncate':
        this.#do({ kind: 'size', inode: open.inode, size: number(words[1]) })
        return true
      case 'fchmod':
        this.#do({ kind: 'mode', inode: open.inode, mode: octal(words[1] ?? '') })
        return true
      case 'fsync':
      case 'fdatasync':
        this.#do({ kind: 'sync', inode: open.inode })
        return true
      case 'syncfs':
        this.#do({ kind: 'sync all' })
        return true
      default:
        return false
    }
  }

  #opened(descriptor: number, path: string, flags: string, mode: string): void {
    if (flags.includes('O_TMPFILE')) {
      this.#open.set(descriptor, { inode: this.#now.inodes.length, appends: false, position: 0 })
      this.#do({ kind: 'names', names: [], born: { kind: 'file', mode: octal(mode), bytes: Buffer.alloc(0) } })
      return
    }
    if (flags.includes('O_CREAT') && this.#now.find(path) === null) this.#make(path, 'file', octal(mode))
    else if (flags.includes('O_TRUNC')) this.#do({ kind: 'size', inode: this.#at(path), size: 0 })
    this.#open.set(descriptor, { inode: this.#at(path), appends: flags.includes('O_APPEND'), position: 0 })
  }

  #make(path: string, kind: Kind, mode: number, bytes = Buffer.alloc(0)): void {
    const born: Inode = { kind, mode: kind === 'symlink' ? mode : mode & ~process.umask(), bytes }
    this.#do({ kind: 'names', names: [{ ...this.#place(path), inode: this.#now.inodes.length }], born })
  }

  #names(...names: readonly Naming[]): void {
    this.#do({ kind: 'names', names })
  }

  /** linkat(2): of an open file by AT_EMPTY_PATH, or by its name in /proc. */
  #link(at: string, from: string, to: string): void {
    const name = unquoted(from)
    const descriptor = name === '' ? number(at) : Number(/^\/proc\/(?:self|\d+)\/fd\/(\d+)$/.exec(name)?.[1] ?? -1)
    const inode = descriptor >= 0 ? this.#open.get(descriptor)?.inode : this.#at(this.#path(from))
    if (inode === undefined) throw new Error(`what is linked to ${to}?`)
    this.#names({ ...this.#place(to), inode })
  }

  #rename(from: string, to: string, flags: string): void {
    if (/RENAME_(EXCHANGE|WHITEOUT)/.test(flags)) throw new Error(`${flags} is not known here`)
    this.#names({ ...this.#place(to), inode: this.#at(from) }, { ...this.#place(from), inode: null })
  }

  #write(open: Open, bytes: Buffer, at: number | null): void {
    const end = open.appends ? (this.#now.inodes[open.inode]?.bytes.length ?? 0) : open.position
    this.#do({ kind: 'bytes', inode: open.inode, at: at ?? end, bytes })
    if (at === null) open.position = end + bytes.length
  }

  /** A file is copied from its beginning to its end: so it is at the same place in both. */
  #copy([from = '', , to = '']: readonly string[], count: number): boolean {
    const [known, target] = [this.#open.get(number(from)), this.#open.get(number(to))]
    if (target === undefined) return false
    const [, path = ''] = /<(.*)>/.exec(from) ?? []
    const bytes = known === undefined ? readFileSync(unquoted(path)) : this.#now.inodes[known.inode]?.bytes
    this.#write(target, bytes?.subarray(target.position, target.position + count) ?? Buffer.alloc(0), null)
    return true
  }

  #do(change: Change): void {
    this.#now.apply(change)
    this.changes.push(change)
  }

  /** A path of the traced process, as one below the directory. */
  #path(word: string): string {
    const path = unquoted(word)
    return path.startsWith(`${this.#directory}/`) ? path.slice(this.#directory.length + 1) : path
  }

  #at(path: string): number {
    const inode = this.#now.find(path)
    if (inode === null) throw new Error(`there is no ${path} in the log`)
    return inode
  }

  #place(path: string): { readonly directory: number; readonly name: string } {
    const cut = path.lastIndexOf('/')
    return { directory: this.#at(path.slice(0, Math.max(cut, 0))), name: path.slice(cut + 1) }
  }
}

/** The words of a call, and what came of it: no text has a comma or a bracket in it, since strace writes it in hexadecimal. */
function parse(text: string): { readonly words: readonly string[]; readonly result: number } {
  const end = text.lastIndexOf(') = ')
  if (end < 0) return { words: [], result: -1 }
  const inside = text.slice(text.indexOf('(') + 1, end).trimEnd()
  return { words: inside.split(/, (?![^[{]*[\]}])/), result: Number.parseInt(text.slice(end + 4), 10) }
}

function hex(word = ''): Buffer {
  return Buffer.from(word.replace(/\\x|"/g, ''), 'hex')
}

function unquoted(word: string): string {
  return hex(word).toString()
}

function octal(word: string): number {
  return Number.parseInt(word.replace(/^.*\|/, ''), 8) & 0o7777
}

function number(word = ''): number {
  return Number.parseInt(word, 10)
}
