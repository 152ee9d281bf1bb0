import { readFileSync } from 'node:fs'
import t from 'tap'
import { openElf } from '../../lib/elf/header.js'
import { readElf } from '../../lib/elf/reader.js'
import { isDebugFile, readSections } from '../../lib/elf/sections.js'
import { readSymbols } from '../../lib/elf/symbols.js'
import type { OpenFile } from '../../lib/elf/types.js'
import { AppcError } from '../../lib/errors.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'

/** Files cut anywhere and changed anywhere: facts, or a typed error that names a place, and nothing else; and in good time. */
const dir = temporaryDirectory()
const source =
  'extern int printf(const char *, ...); int data = 7; __thread int local; int f(void) { return printf("%d", data); }'
const NOTES = `.pushsection .note.dlopen, "a", %note
.long 4, 28, 0x407c0c0a
.asciz "FDO"
.asciz "[{\\"soname\\":[\\"libfoo.so\\"]}]"
.balign 4
.popsection
`
const samples = {
  '64 bit': readFileSync(compile(dir, 'lib64.so', source, ['-shared', '-fPIC', '-Wl,-soname,lib64.so,--build-id'])),
  '32 bit': readFileSync(
    compile(dir, 'lib32.so', 'int f(void) { return 1; }', [
      '-m32',
      '-shared',
      '-fPIC',
      '-nostdlib',
      '-Wl,--hash-style=both',
    ]),
  ),
  notes: readFileSync(
    compile(dir, 'notes.so', `__asm__(${JSON.stringify(NOTES)}); int f(void) { return 1; }`, [
      '-shared',
      '-fPIC',
      '-nostdlib',
    ]),
  ),
  program: readFileSync(
    compile(dir, 'program', 'extern char **environ; int main(void) { return environ == 0; }', [
      '-no-pie',
      '-Wl,-rpath,$ORIGIN/lib',
    ]),
  ),
}

function inMemory(bytes: Uint8Array): OpenFile {
  return {
    size: bytes.length,
    read(buffer, position) {
      const part = bytes.subarray(position, position + buffer.length)
      buffer.set(part)
      return part.length
    },
    close() {},
  }
}

function readSectionsOf(file: OpenFile): unknown {
  const { window, header } = openElf(file)
  return readSections(window, header)
}

/** null where it was read; else the error, which is a failure unless it is typed. */
function attempt(bytes: Uint8Array): unknown {
  for (const read of [readElf, readSymbols, readSectionsOf, isDebugFile]) {
    try {
      read(inMemory(bytes))
    } catch (error) {
      return error
    }
  }
  return null
}

function isTyped(error: unknown): boolean {
  if (!(error instanceof AppcError)) return false
  if (error.code === 'ELF_NOT') return error.offset === null
  return error.code === 'ELF_MALFORMED' && error.offset !== null && error.offset >= 0
}

/** A small generator with a seed, so that a failure can be repeated. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    yield state >>> 8
  }
}

for (const [name, bytes] of Object.entries(samples)) {
  t.test(`${name}: cut`, async t => {
    t.equal(attempt(bytes), null)
    const wrong = []
    for (let length = 0; length < bytes.length; length += length < 1024 ? 1 : 37) {
      const error = attempt(bytes.subarray(0, length))
      if (error !== null && !isTyped(error)) wrong.push({ length, error })
    }
    t.same(wrong, [])
    t.equal((attempt(bytes.subarray(0, 3)) as AppcError).code, 'ELF_NOT')
    t.match(attempt(bytes.subarray(0, 100)), { code: 'ELF_MALFORMED', offset: bytes[4] === 2 ? 64 : 52 })
  })

  t.test(`${name}: changed`, async t => {
    const random = numbers(1)
    const wrong = []
    let refused = 0
    for (let round = 0; round < 6000; round++) {
      const copy = Buffer.from(bytes)
      const seen: string[] = []
      for (let changes = 1 + (random.next().value % 3); changes > 0; changes--) {
        // Most of the weight lies on headers and the dynamic tables in the first pages.
        const at = random.next().value % (round % 2 === 0 ? 1024 : copy.length)
        const value = [0, 1, 0x7f, 0xff, random.next().value & 0xff][random.next().value % 5] as number
        copy.fill(value, at, Math.min(copy.length, at + 1 + (random.next().value % 8)))
        seen.push(`${at}=${value}`)
      }
      const error = attempt(copy)
      if (error !== null) refused++
      if (error !== null && !isTyped(error)) wrong.push({ seen, error })
    }
    t.same(wrong, [])
    t.ok(refused > 100, `${refused} refused`)
  })
}

/** Work that would grow with the square of the file, or go on without end. */
t.test('out of proportion', async t => {
  const library = Buffer.from(samples['64 bit'])
  const headers = library.subarray(64, 64 + library.readUInt16LE(56) * 56)
  const load = headers.subarray(0, 56)
  t.equal(load.readUInt32LE(0), 1)
  const count = 60_000
  const many = Buffer.concat([library, headers, ...Array.from({ length: count }, () => load)])
  many.writeBigUInt64LE(BigInt(library.length), 32)
  many.writeUInt16LE(headers.length / 56 + count, 56)
  t.match(attempt(many), { code: 'ELF_MALFORMED', message: /segments to load/ })

  // A hash table of one bucket, whose chain has no end mark in 256 MiB.
  const size = 2 ** 28
  const at = 2 ** 20
  const table = Buffer.alloc(20)
  for (const [index, word] of [1, 1, 0, 0, 1].entries()) table.writeUInt32LE(word, index * 4)
  library.writeBigUInt64LE(BigInt(size), 64 + 32)
  const tag = Buffer.from('f5feff6f00000000', 'hex')
  library.writeBigUInt64LE(BigInt(at), library.indexOf(tag) + 8)
  let bytesRead = 0
  const endless: OpenFile = {
    size,
    read(buffer, position) {
      bytesRead += buffer.length
      buffer.fill(0)
      if (position < library.length) buffer.set(library.subarray(position, position + buffer.length))
      if (position === at) buffer.set(table.subarray(0, buffer.length))
      return buffer.length
    },
    close() {},
  }
  t.throws(() => readSymbols(endless), { code: 'ELF_MALFORMED', message: /hash chain/ })
  t.ok(bytesRead < size / 4, `${bytesRead} bytes`)
})
