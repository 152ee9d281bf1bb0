import type { PackedRegular } from '../container/types.js'
import { AppcError } from '../errors.js'
import type { FileStat, FileSystem, OpenFile } from '../loader/types.js'
import type { Contents } from './home.js'

/** Opens a packed file's bytes: from the store, or wherever else they are. */
export type OpenPacked = (file: PackedRegular) => OpenFile

/** A device number that no real file has. */
const PACKED_DEVICE = -1n

/**
 * The container's files as a file system, for overlays to take files from. Files of equal bytes and mode have one inode, as they
 * have in the store and so in the view: the loader will take them for one.
 */
export function packedFileSystem(contents: Contents, open: OpenPacked): FileSystem {
  const regular = (path: string): PackedRegular => {
    const file = contents.byPath.get(path)
    if (file?.type === 'file') return file
    throw new AppcError('INTERNAL', `${path} is no file of the container`)
  }
  return {
    lstat: path => statOf(regular(path)),
    readlink: path => {
      throw new AppcError('INTERNAL', `${path} is asked for as a link`)
    },
    readdir: () => null,
    hostPath: () => null,
    open: path => open(regular(path)),
  }
}

function statOf(file: PackedRegular): FileStat {
  const executable = (file.mode & 0o111) !== 0
  return {
    kind: 'file',
    dev: PACKED_DEVICE,
    ino: (BigInt(`0x${file.sha256.slice(0, 15)}`) << 1n) | BigInt(executable),
    size: file.size,
    mode: 0o100000 | (executable ? 0o555 : 0o444),
    uid: 0,
    gid: 0,
    mtimeNs: 0n,
    ctimeNs: 0n,
  }
}
