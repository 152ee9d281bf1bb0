import { openElf, readIdentity } from '../../lib/elf/header.js'
import { readElf } from '../../lib/elf/reader.js'
import { isDebugFile, readSections } from '../../lib/elf/sections.js'
import { readSymbols } from '../../lib/elf/symbols.js'
import type { OpenFile } from '../../lib/elf/types.js'
import { Window } from '../../lib/elf/window.js'
import { AppcError } from '../../lib/errors.js'
import { LibraryCache } from '../../lib/loader/cache.js'
import { readLoader } from '../../lib/loader/loader.js'
import { memoryFileSystem } from '../../lib/loader/memory-file-system.js'
import { expandTokens } from '../../lib/loader/tokens.js'
import type { Loader } from '../../lib/loader/types.js'
import type { Random } from './random.js'

/** What is fuzzed. Each function hands an input to readers and throws where they broke their promise. */

/** What one reader may read of one file, all in all: a hole is nobody's reason to read on and on. */
const MAX_READ = 256 * 1024 * 1024

const READERS: readonly ((file: OpenFile) => unknown)[] = [
  ...[readElf, readSymbols, isDebugFile, (file: OpenFile) => readIdentity(new Window(file))],
  file => {
    const { window, header } = openElf(file)
    return readSections(window, header)
  },
]

export function fuzzElf(bytes: Buffer, size = bytes.length): void {
  for (const read of READERS) {
    const file = new CountingFile(bytes, size)
    try {
      read(file)
    } catch (error) {
      if (!isTyped(error)) throw error
    }
    if (file.asked > MAX_READ) throw new Error(`${file.asked} bytes were read for of a file of ${size}`)
  }
}

function isTyped(error: unknown): boolean {
  if (!(error instanceof AppcError)) return false
  return (
    error.code === 'ELF_NOT' || (error.code === 'ELF_MALFORMED' && /\(at offset 0x[0-9a-f]+\)$/.test(error.message))
  )
}

/** Bytes in memory, and after them a hole up to `size`; it counts the buffers that were given it to fill. */
class CountingFile implements OpenFile {
  asked = 0

  constructor(
    readonly bytes: Buffer,
    readonly size: number,
  ) {}

  read(buffer: Uint8Array, position: number): number {
    this.asked += buffer.length
    const length = Math.max(0, Math.min(buffer.length, this.size - position))
    const part = this.bytes.subarray(position, position + length)
    buffer.set(part)
    buffer.fill(0, part.length, length)
    return length
  }

  close(): void {}
}

function loader(minor: number, machine: number, wordSize: 32 | 64, data: 'little' | 'big'): Loader {
  const path = '/lib/ld.so'
  const common = { path, realPath: path, systemDirectories: ['/lib'], lib: 'lib', platform: '' }
  return { kind: 'glibc', version: [2, minor], machine, class: wordSize, data, ...common }
}
const LOADERS = [
  ...[31, 36, 41].map(minor => loader(minor, 62, 64, 'little')),
  ...[loader(36, 3, 32, 'little'), loader(36, 22, 64, 'big'), loader(41, 40, 32, 'little')],
]
const LEVELS = ['x86-64-v4', 'x86-64-v3', 'x86-64-v2']
const NAMES = [
  'libc.so.6',
  'liba.so.1',
  'liba.so.10',
  'libb.so',
  '',
  'glibc-ld.so.cache1.1',
  `lib${'9'.repeat(500)}.so`,
  '0',
]

export function fuzzCache(random: Random, bytes: Buffer): void {
  const cache = LibraryCache.parse(bytes, random.pick(LOADERS))
  if (cache === null) return
  // Names that are in it as it stands, or parts of them.
  const at = random.below(bytes.length)
  const own = bytes.toString('latin1', at, Math.min(at + 40, bytes.length)).split('\0')
  for (const name of [...NAMES, ...own]) {
    cache.lookup(name, LEVELS)
    for (const { path } of cache.hits(name)) if (!path.startsWith('/')) throw new Error(`a hit at ${path}`)
  }
  cache.paths()
}

export function fuzzLoader(bytes: Buffer): void {
  try {
    readLoader(memoryFileSystem({ '/lib/ld.so': { bytes } }), '/lib/ld.so')
  } catch (error) {
    if (!(error instanceof AppcError && error.code === 'LOADER_UNKNOWN')) throw error
  }
}

const TOKEN_PIECES = ['$', '{', '}', '$ORIGIN', '{ORIGIN}', '$LIB', '{PLATFORM', '/', 'a', '_', '$$', 'ORIGIN', ':']

export function fuzzTokens(random: Random): void {
  const text = Array.from({ length: random.pick([1, 5, 50, 1000]) }, () => random.pick(TOKEN_PIECES)).join('')
  const origin = random.pick([null, '/o', '/$ORIGIN'])
  const originFirst = random.pick([true, false])
  const expanded = expandTokens(text, { origin, originFirst, platform: 'p', lib: 'lib' })
  if (origin !== null && !originFirst && expanded === null) throw new Error('void, though all is known')
}
