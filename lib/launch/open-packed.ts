import { statSync } from 'node:fs'
import { openBytes } from '../container/change.js'
import { isExecutable } from '../container/containers.js'
import type { PackedRegular } from '../container/types.js'
import type { OpenPacked } from '../decide/container-files.js'
import { AppcError } from '../errors.js'
import { objectPath, readObject } from '../store/objects.js'
import type { Store } from '../store/store.js'
import type { Care } from './care.js'

/**
 * Opens files of a container for deciding, verified: by what is read there it is decided, and it is remembered under the digest that the
 * file should have. STORE_CORRUPT for one that is damaged and cannot be mended.
 */
export function openPacked(store: Store, name: string, mend: Care['mend']): OpenPacked {
  return file => {
    const read = () => openBytes(readObject(store, file.sha256, isExecutable(file.mode), file.size))
    try {
      return read()
    } catch (error) {
      if (!isCorrupt(error)) throw error
      if (mend(file)) return read()
      throw damagedFile(store, name, file)
    }
  }
}

function isCorrupt(error: unknown): boolean {
  return error instanceof AppcError && error.code === 'STORE_CORRUPT'
}

/** `name`: of the container, or the path of a plain program. */
export function damagedFile(store: Store, name: string, { path, sha256, mode }: PackedRegular): AppcError {
  const object = objectPath(store, sha256, isExecutable(mode))
  const command = name.startsWith('/') ? 'appc repair' : `appc repair ${name}`
  return new AppcError('STORE_CORRUPT', `${path} of ${name} is damaged`, {
    because: `the store's object ${object} is not there, or is not what it is named by`,
    hint: isOthers(store) ? `have root mend it: ${command}` : command,
  })
}

function isOthers(store: Store): boolean {
  return statSync(store.home).uid !== process.geteuid?.()
}
