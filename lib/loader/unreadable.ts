import { AppcError } from '../errors.js'

interface Meaning {
  readonly because: string
  readonly hint: string
}

const DENIED: Meaning = { because: 'permission is denied', hint: 'try again as a user who may read it' }

/** Of FUSE and network file systems: no file there can be looked at. */
export const UNSERVED: readonly string[] = ['ENOTCONN', 'ESTALE', 'EHOSTDOWN', 'ETIMEDOUT', 'ECONNABORTED']

const GONE: Meaning = {
  because: 'what serves its file system is gone, or answers no more',
  hint: 'mount that file system anew, or unmount it',
}

/** What a file's own state, or its file system's, makes the kernel refuse, in words. Whatever else fails is no answer about the file. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  EACCES: DENIED,
  EPERM: DENIED,
  ELOOP: {
    because: 'its links lead in a circle, or through too many others',
    hint: 'look with ls -l where its links lead, and mend or remove them',
  },
  ENAMETOOLONG: { because: 'the path or a name in it is longer than Linux allows', hint: 'shorten the path' },
  ENOTDIR: {
    because: 'something on the way to it is no directory',
    hint: 'look with ls -l what lies where a directory should be',
  },
  ...Object.fromEntries(UNSERVED.map(code => [code, GONE])),
  EIO: { because: 'the disk that it lies on fails', hint: "the kernel's log (dmesg) tells more" },
}

/** FILE_UNREADABLE for a path, with what the system call's error means. */
export function unreadable(path: string, error: unknown): AppcError {
  const known = meaningOf(error)
  const because = error instanceof Error ? error.message : String(error)
  return new AppcError('FILE_UNREADABLE', `${path} cannot be read`, { ...(known ?? { because }), cause: error })
}

/** What decoding makes of bytes that are not UTF-8; nobody has it in a name of his own will. */
export const REPLACEMENT = '\ufffd'

/** FILE_UNREADABLE for a path that is not there as it is known; null where no byte of it can have been lost. */
export function asUndecodable(path: string): AppcError | null {
  if (!path.includes(REPLACEMENT)) return null
  return new AppcError('FILE_UNREADABLE', `${path} cannot be read`, {
    because: 'the path is not UTF-8, or it vanished',
    hint: 'rename the file or directory whose name it is',
  })
}

/** An error that nobody has put into words on its way up, as `unreadable` has it; null where it is no file's fault, but a bug. */
export function asUnreadable(error: unknown): AppcError | null {
  if (!(error instanceof Error && 'path' in error && typeof error.path === 'string')) return null
  return meaningOf(error) === undefined ? null : unreadable(error.path, error)
}

function meaningOf(error: unknown): Meaning | undefined {
  return error instanceof Error && 'code' in error ? MEANINGS[String(error.code)] : undefined
}
