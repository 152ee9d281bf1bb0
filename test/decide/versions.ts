import { readElf } from '../../lib/elf/reader.js'
import { readSymbols } from '../../lib/elf/symbols.js'
import { hostLoader } from '../container/tree.js'

/** The hash of a version's name as it stands in version tables (System V ABI, "Hash Table"). */
export function versionHash(version: string): Buffer {
  let hash = 0
  for (const byte of Buffer.from(version)) {
    hash = ((hash << 4) + byte) >>> 0
    const high = hash & 0xf000_0000
    hash = (hash ^ (high >>> 24) ^ high) >>> 0
  }
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(hash)
  return bytes
}

export function onlyPlace(file: Buffer, bytes: Buffer): number {
  const at = file.indexOf(bytes)
  if (at < 0 || file.indexOf(bytes, at + 1) >= 0) throw new Error(`${bytes.toString('latin1')} is not there just once`)
  return at
}

/**
 * The machine's C library made a newer one: its last version is called GLIBC_9.…, which no other has. It works as before; only
 * who was linked against it cannot run with another. `symbol` is a function of that version.
 */
export function newerLibc(): { readonly libc: Buffer; readonly version: string; readonly symbol: string } {
  const libc = Buffer.from(hostLoader().libc)
  const file = { size: libc.length, read: (to: Uint8Array, at: number) => libc.copy(to, 0, at), close: () => {} }
  const numbered = readElf(file).verdefs.filter(({ name }) => /^GLIBC_2\.\d+$/.test(name))
  const newest = numbered.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })).at(-1)?.name ?? ''
  const version = newest.replace('_2', '_9')
  const symbol = readSymbols(file).exports.find(({ version }) => version === newest)?.name ?? ''
  versionHash(version).copy(libc, onlyPlace(libc, versionHash(newest)))
  libc.write(version, onlyPlace(libc, Buffer.from(`\0${newest}\0`)) + 1)
  return { libc, version, symbol }
}
