import { closeSync, lstatSync, openSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { UNSERVED } from '../loader/unreadable.js'
import type { Store } from '../store/store.js'
import { hasCode } from '../store/writing.js'

/** A process that still has a file that was replaced, open or mapped. */
export interface Holder {
  readonly pid: number
  readonly command: string
  readonly inodes: readonly number[]
}

/**
 * Processes that have these inodes of the store's file system open or mapped, among those that the caller may look into. Overlayfs shows
 * a file with its own inode number, though on another device; so any device counts but those that are mounted by themselves.
 */
export function holdersOf(store: Store, inodes: ReadonlySet<number>): readonly Holder[] {
  if (inodes.size === 0) return []
  const devices = devicesOf(store)
  const processes = readdirSync('/proc').filter(name => /^[0-9]+$/.test(name))
  return processes.flatMap(process => {
    const held = heldBy(join('/proc', process), inodes, devices)
    return held.length === 0 ? [] : [{ pid: Number(process), command: commandOf(process), inodes: held }]
  })
}

function heldBy(process: string, inodes: ReadonlySet<number>, devices: readonly string[]): readonly number[] {
  const others = otherMounts(process, devices)
  const files = [...mapped(process), ...opened(process, others.ids)].filter(({ inode }) => inodes.has(inode))
  return [...new Set(files.filter(({ dev }) => !others.devices.has(dev)).map(({ inode }) => inode))]
}

interface Held {
  readonly inode: number
  /** As the kernel prints it: major and minor. */
  readonly dev: string
}

/** proc(5): address, permissions, offset, device, inode, path. */
function* mapped(process: string): Generator<Held> {
  for (const line of textOf(join(process, 'maps')).split('\n')) {
    const [, major = '', minor = '', inode = ''] = /^\S+ \S+ \S+ ([0-9a-f]+):([0-9a-f]+) ([1-9][0-9]*)/.exec(line) ?? []
    if (inode !== '') yield { inode: Number(inode), dev: `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}` }
  }
}

/** What lies on one of the other mounts that the process has is not gone to: its server may answer no more. */
function* opened(process: string, others: ReadonlySet<string>): Generator<Held> {
  const directory = join(process, 'fd')
  for (const name of unlessClosed(() => readdirSync(directory)) ?? []) {
    if (others.has(mountOf(join(process, 'fdinfo', name)))) continue
    const stat = unlessClosed(() => statSync(join(directory, name)), ['EIO', ...UNSERVED])
    if (stat?.isFile()) yield { inode: stat.ino, dev: deviceText(stat.dev) }
  }
}

/** Of file systems that are mounted there and are neither the store's nor an overlay. */
function otherMounts(process: string, devices: readonly string[]) {
  const others = { ids: new Set<string>(), devices: new Set<string>() }
  for (const line of textOf(join(process, 'mountinfo')).split('\n')) {
    const [id = '', , dev = ''] = line.split(' ')
    if (devices.includes(dev) || / - overlay /.test(line)) continue
    others.ids.add(id)
    others.devices.add(dev)
  }
  return others
}

/** The store's file system as files there have it, and as mount tables and maps do: on Btrfs each subvolume has one of its own. */
function devicesOf(store: Store): readonly string[] {
  const fd = openSync(store.home, 'r')
  try {
    const mount = mountOf(`/proc/self/fdinfo/${fd}`)
    const lines = textOf('/proc/self/mountinfo').split('\n')
    const [, , dev = ''] = lines.find(line => line.startsWith(`${mount} `))?.split(' ') ?? []
    return [deviceText(lstatSync(store.home).dev), dev]
  } finally {
    closeSync(fd)
  }
}

function mountOf(fdinfo: string): string {
  return /^mnt_id:\s*(\d+)$/m.exec(textOf(fdinfo))?.[1] ?? ''
}

/** makedev(3), as the kernel and glibc have it. */
function deviceText(dev: number): string {
  const [high, low] = [Math.floor(dev / 2 ** 32), dev >>> 0]
  const major = ((low >>> 8) & 0xfff) | (high & ~0xfff)
  const minor = (low & 0xff) | ((low >>> 12) & ~0xff)
  return `${major}:${minor}`
}

/** As it was started; of one that has no command line its name. */
export function commandOf(process: string): string {
  const line = textOf(join('/proc', process, 'cmdline'))
    .replace(/\0+$/, '')
    .replaceAll('\0', ' ')
  return (
    line ||
    textOf(join('/proc', process, 'comm')).trim() ||
    (unlessClosed(() => readlinkSync(join('/proc', process, 'exe'))) ?? '')
  )
}

function textOf(path: string): string {
  return unlessClosed(() => readFileSync(path, 'utf8')) ?? ''
}

/** null of somebody else's process, and of one that ended meanwhile: proc(5); and of what its file system does not let be looked at. */
function unlessClosed<T>(read: () => T, unseen: readonly string[] = []): T | null {
  try {
    return read()
  } catch (error) {
    if (hasCode(error, 'EACCES', 'EPERM', 'ENOENT', 'ESRCH', 'EINVAL', 'ENOTDIR', ...unseen)) return null
    throw error
  }
}
