import { AppcError } from '../errors.js'
import { resolvePath } from '../loader/file-system.js'
import type { FileSystem } from '../loader/types.js'
import { unreadable } from '../loader/unreadable.js'

/** No database or configuration file is larger: a full Debian's status file has some 10 MB. */
const MAX_BYTES = 1 << 28

/** A text file of a root, symlinks followed inside it; null when it does not exist. Throws FILE_UNREADABLE. */
export function readText(fs: FileSystem, path: string): string | null {
  try {
    const found = resolvePath(fs, path).path
    if (found === null) return null
    const file = fs.open(found)
    try {
      if (file.size > MAX_BYTES) throw new AppcError('FILE_UNREADABLE', `${path} is too large to be what it should be`)
      const bytes = Buffer.alloc(file.size)
      let filled = 0
      for (let got = 1; got > 0 && filled < bytes.length; filled += got) got = file.read(bytes.subarray(filled), filled)
      return bytes.toString('utf8', 0, filled)
    } finally {
      file.close()
    }
  } catch (error) {
    if (error instanceof AppcError) throw error
    throw unreadable(path, error)
  }
}
