import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { AppcError } from '../errors.js'
import { unreadable } from '../loader/unreadable.js'
import { readObject } from '../store/objects.js'
import { type Access, readSecret } from '../store/secrets.js'
import type { Store } from '../store/store.js'
import type { Writer } from '../store/writer.js'
import { openBytes } from './change.js'
import { isExecutable } from './containers.js'
import { isSecret, isSecretMode, MAX_SETTING_BYTES, type SettingFile, type Settings } from './settings.js'

/** A file that is to become a setting: its bytes, and who may read it. */
export interface SettingSource extends Access {
  readonly bytes: Buffer
}

/** Reads a file of this machine, links followed. `isPublic`: its own mode says who may read it, wherever it lies. Throws FILE_MISSING, FILE_UNREADABLE, SETTING_INVALID. */
export function readSource(path: string, isPublic = false): SettingSource {
  const fd = openSource(path)
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw invalid(path, 'it is not a regular file')
    if (stat.size > MAX_SETTING_BYTES)
      throw invalid(path, `it has ${stat.size} bytes, and at most ${MAX_SETTING_BYTES} are taken`)
    // What lies in a directory that is closed to others is closed to them, whatever its own mode; to its group too, which may be kept out.
    const mode = stat.mode & (isPublic || isReachable(fd) ? 0o777 : 0o700)
    return { bytes: readAll(fd, stat.size), mode, uid: stat.uid, gid: stat.gid }
  } finally {
    closeSync(fd)
  }
}

/** For reading. Throws FILE_MISSING, FILE_UNREADABLE. */
export function openSource(path: string): number {
  try {
    // Opening a FIFO for reading blocks until somebody writes.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new AppcError('FILE_MISSING', `${path} is not there`, {
        because: 'nothing has this name, or a link leads nowhere',
        hint: 'name a file that there is',
        cause: error,
      })
    throw unreadable(path, error)
  }
}

/** Of the file that is open: its path may lead to another one by now. */
function isReachable(fd: number): boolean {
  const path = readlinkSync(`/proc/self/fd/${fd}`)
  // Of what no path leads to the kernel says so in words.
  if (!path.startsWith('/')) return false
  for (let up = dirname(path); ; up = dirname(up)) {
    const stat = statSync(up, { throwIfNoEntry: false })
    if (stat === undefined || (stat.mode & 0o001) === 0) return false
    if (up === '/') return true
  }
}

function readAll(fd: number, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  let filled = 0
  for (let got = 1; got > 0 && filled < size; filled += got) got = readSync(fd, bytes, filled, size - filled, filled)
  return bytes.subarray(0, filled)
}

/** Takes it into the store: one that not everybody may read into the closed area, where that is not what is there already. */
export function takeSetting(writer: Writer, { files }: Settings, path: string, source: SettingSource): SettingFile {
  const { bytes, mode } = source
  const base = { path, size: bytes.length, mode }
  const here = files.find(file => file.path === path)
  if (here !== undefined && isSecret(here) && writer.hasSecret(here.secret, bytes, source)) return here
  if (isSecretMode(mode)) return { ...base, secret: writer.addSecret(bytes, source) }
  return { ...base, sha256: writer.add(openBytes(bytes), isExecutable(mode)).sha256 }
}

/** A setting's bytes, verified. Throws STORE_CORRUPT. */
export function readSetting(store: Store, file: SettingFile): Buffer {
  if (isSecret(file)) return readSecret(store, file.secret, MAX_SETTING_BYTES)
  const hint = `set it anew, with the bytes that it had: appc settings NAME set ${file.path} FILE`
  return readObject(store, file.sha256, isExecutable(file.mode), MAX_SETTING_BYTES, hint)
}

function invalid(path: string, because: string): AppcError {
  return new AppcError('SETTING_INVALID', `${path} cannot be a setting`, {
    because,
    hint: 'a setting is a regular file of at most 64 MiB',
  })
}
