import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../fuzz/random.js'

/** Damages what lies at `path`; `other` is another file of the store. Its times are put back by whoever calls, where it is the same file. */
export type Damage = (random: Random, path: string, other: string) => void

function inPlace(path: string, change: (fd: number, size: number) => void): void {
  const { mode, size } = lstatSync(path)
  // Its owner need not be allowed to write to it.
  chmodSync(path, 0o600)
  const fd = openSync(path, 'r+')
  try {
    change(fd, size)
  } finally {
    closeSync(fd)
    chmodSync(path, mode & 0o7777)
  }
}

/** Another file of that name, with the attributes of the one that was there. */
function replaceBy(path: string, content: Buffer): void {
  const { mode, uid, gid } = lstatSync(path)
  const beside = `${path}.beside`
  writeFileSync(beside, content)
  chownSync(beside, uid, gid)
  chmodSync(beside, mode & 0o7777)
  renameSync(beside, path)
}

function flipped(random: Random, bytes: Buffer): Buffer {
  if (bytes.length === 0) return Buffer.from('x')
  const at = random.below(bytes.length)
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random.below(8)), at)
  return bytes
}

function noise(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.below(256)))
}

/** Of the bytes of a regular file. */
export const ofBytes: Readonly<Record<string, Damage>> = {
  'bits flipped': (random, path) =>
    inPlace(path, (fd, size) => {
      if (size === 0) return void writeSync(fd, 'x')
      const bytes = readFileSync(path)
      const at = random.below(size)
      // In one byte, so that none is flipped back.
      writeSync(fd, Buffer.of(bytes.readUInt8(at) ^ (1 + random.below(255))), 0, 1, at)
    }),
  'filled with zeros': (random, path) =>
    inPlace(path, (fd, size) => {
      const [from, length] = random.once(3) ? [0, size] : [random.below(size + 1) & ~0xfff, 4096]
      const end = Math.min(size, from + length)
      if (
        readFileSync(path)
          .subarray(from, end)
          .every(byte => byte === 0)
      )
        writeSync(fd, 'x', 0)
      else writeSync(fd, Buffer.alloc(end - from), 0, end - from, from)
    }),
  'filled with noise': (random, path) =>
    inPlace(path, (fd, size) => {
      const bytes = noise(random, Math.max(1, Math.min(size, 1 + random.below(5000))))
      writeSync(fd, bytes, 0, bytes.length, random.below(size - bytes.length + 1))
    }),
  'cut short': (random, path) => inPlace(path, (fd, size) => ftruncateSync(fd, random.below(Math.max(1, size)))),
  emptied: (_random, path) => inPlace(path, fd => ftruncateSync(fd)),
  extended: (random, path) =>
    inPlace(path, (fd, size) => void writeSync(fd, noise(random, 1 + random.below(100)), 0, null, size)),
  'another’s bytes in place': (_random, path, other) => {
    const bytes = readFileSync(other)
    inPlace(path, fd => {
      ftruncateSync(fd)
      writeSync(fd, bytes)
    })
  },
  'replaced by a changed copy': (random, path) => replaceBy(path, flipped(random, readFileSync(path))),
  'replaced by another’s copy': (_random, path, other) => replaceBy(path, readFileSync(other)),
}

/** Of a regular file that stays what it is otherwise. */
export const ofPlace: Readonly<Record<string, Damage>> = {
  deleted: (_random, path) => rmSync(path),
  'a directory in its place': (random, path) => {
    rmSync(path)
    mkdirSync(path)
    if (random.once(2)) writeFileSync(join(path, 'below'), 'x')
  },
  'a link in its place': (random, path, other) => {
    rmSync(path)
    symlinkSync(random.pick([other, '/etc/passwd', 'nowhere', '/dev/zero']), path)
  },
  'swapped with another': (_random, path, other) => {
    renameSync(path, `${path}.beside`)
    renameSync(other, path)
    renameSync(`${path}.beside`, other)
  },
}

export const ofAttributes: Readonly<Record<string, Damage>> = {
  permission: (random, path) => {
    const mode = lstatSync(path).mode & 0o7777
    chmodSync(path, random.pick([0, 0o400, 0o600, 0o644, 0o777, 0o4755, 0o1555].filter(other => other !== mode)))
  },
  owner: (random, path) => chownSync(path, 1 + random.below(60_000), random.below(2)),
}

export const ofLink: Readonly<Record<string, Damage>> = {
  'leads elsewhere': (random, path, other) => {
    rmSync(path)
    symlinkSync(random.pick([other, '/etc/passwd', 'nowhere']), path)
  },
  deleted: (_random, path) => rmSync(path),
  'a file in its place': (_random, path, other) => {
    rmSync(path)
    copyFileSync(other, path)
  },
}

export const ofDirectory: Readonly<Record<string, Damage>> = {
  removed: (_random, path) => rmSync(path, { recursive: true }),
  permission: (random, path) => chmodSync(path, random.pick([0o700, 0o777, 0o1755, 0o711])),
  'a file in its place': (_random, path) => {
    rmSync(path, { recursive: true })
    writeFileSync(path, 'x')
  },
  'a stray in it': (random, path, other) => copyFileSync(other, join(path, `stray${random.below(1000)}`)),
}
