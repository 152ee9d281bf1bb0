import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readElf } from '../../lib/elf/reader.js'
import type { ElfFacts, OpenFile, UnreadNote } from '../../lib/elf/types.js'
import { withFile } from '../support/elf-files.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'
import { DLOPEN, dlopenNote as dlopen, note, text } from '../support/notes.js'
import { readelf } from '../support/readelf.js'
import { roots } from '../support/roots.js'

/** Notes by owner and type, in segments of either alignment; readelf judges. */
const dir = temporaryDirectory()
const flags = ['-shared', '-fPIC', '-nostdlib']

let made = 0
function facts(source: string, ...more: readonly string[]): ElfFacts & { path: string } {
  const path = compile(dir, `lib${made++}.so`, `${source}int f(void) { return 1; }`, [...flags, ...more])
  return { ...withFile(path, readElf), path }
}

/** readelf does not know this type of note: the arrays among the strings of the section. */
function theirDlopen(path: string): object[] {
  const output = readelf(['--string-dump=.note.dlopen'], [path]).get(path) as string
  return [...output.matchAll(/^ +\[ *[0-9a-f]+\] +(\[\{.*)$/gm)].flatMap(([, json]) => JSON.parse(json as string))
}

t.test('dlopen notes, one and many', async t => {
  const first = [{ soname: ['libfoo.so.2', 'libfoo.so.1'], feature: 'foo', description: 'x', priority: 'required' }]
  const second = [
    { soname: ['a.so'], extra: 7 },
    { soname: ['b.so'], priority: 'suggested' },
  ]
  const { dlopen: found, unreadNotes, path } = facts(dlopen(JSON.stringify(first)) + dlopen(JSON.stringify(second)))
  t.same(unreadNotes, [])
  const theirs = theirDlopen(path)
  t.equal(theirs.length, 3)
  const defaults = { feature: null, description: null, priority: 'recommended' }
  t.same(
    found,
    theirs.map(entry => ({ ...defaults, ...entry, extra: undefined })).map(({ extra, ...entry }) => entry),
  )
})

t.test('package metadata as the linker writes it', async t => {
  const json = '{"type":"deb","os":"debian","name":"fixture","version":"1.2-3","architecture":"amd64","more":[1]}'
  const { packageMetadata, path } = facts('', '-Xlinker', `--package-metadata=${json}`)
  const shown = /Packaging Metadata: (.*)$/m.exec(readelf(['--notes'], [path]).get(path) as string)?.[1] as string
  const { more, ...theirs } = JSON.parse(shown)
  t.same(more, [1])
  t.same(packageMetadata, theirs, 'texts are kept, other values are not')
  t.equal(facts('').packageMetadata, null)
})

t.test('a segment that is aligned to eight has notes that are', async t => {
  // An owner of five bytes: its payload begins at 20 by fours, at 24 by eights, and the next note at 32 either way or not.
  const odd = note('.note.a', 'Five', 1, '.byte 1', 8)
  const tag = note('.note.a', 'GNU', 1, '.long 1, 9, 8, 7', 8)
  const { abiTag, path } = facts(odd + tag)
  const output = readelf(['--notes', '--segments'], [path]).get(path) as string
  t.match(output, /NOTE .* 0x8$/m)
  t.match(output, /OS: Hurd, ABI: 9\.8\.7/)
  t.same(abiTag, { os: 1, kernel: [9, 8, 7] })
})

t.test('what a note says badly is told, and the file is sound', async t => {
  const good = dlopen('[{"soname":["good.so"]}]')
  const bad: Readonly<Record<string, string>> = {
    'it is no JSON': dlopen('[{"soname":'),
    'it is no array': dlopen('{"soname":["a.so"]}'),
    'it holds what is no object': dlopen('["a.so"]'),
    'an entry has no sonames': dlopen('[{"soname":[]}]'),
    'an entry has an unknown priority': dlopen('[{"soname":["a.so"],"priority":"high"}]'),
    'it is not UTF-8': note('.note.dlopen', 'FDO', DLOPEN, '.byte 0x5b, 0xff, 0x5d, 0'),
    'it is no object': note('.note.package', 'FDO', 0xcafe1a7e, text('[]')),
    'the ABI tag has less than 16 bytes': note('.note.ABI-tag', 'GNU', 1, '.long 0, 3'),
    'the build-id has more than 512 bytes': note('.note.build', 'GNU', 3, '.zero 513, 1'),
    'the notes in JSON have more than 65536 bytes': note('.note.dlopen', 'FDO', DLOPEN, '.zero 70000, 0x20'),
  }
  for (const [because, source] of Object.entries(bad)) {
    const { dlopen: found, unreadNotes, path } = facts(good + source, '-Wl,--build-id=none')
    t.same(
      found.map(({ soname }) => soname),
      [['good.so']],
      because,
    )
    t.match(unreadNotes, [{ because, offset: Number }])
    // 12 bytes of header and four of owner stand before the payload.
    const [{ offset }] = unreadNotes as [UnreadNote]
    t.match(
      readFileSync(path)
        .subarray(offset + 12, offset + 16)
        .toString(),
      /^(FDO|GNU)\0$/,
    )
  }
})

/** A file of `size` bytes: zeros, but for the parts. Counts what is read of it. */
function sparse(size: number, parts: readonly { at: number; bytes: Buffer }[]): OpenFile & { bytesRead: number } {
  return {
    size,
    bytesRead: 0,
    read(buffer, position) {
      this.bytesRead += buffer.length
      buffer.fill(0)
      for (const { at, bytes } of parts) {
        const from = Math.max(0, position - at)
        if (at < position + buffer.length && from < bytes.length)
          buffer.set(
            bytes.subarray(from, from + buffer.length - Math.max(0, at - position)),
            Math.max(0, at - position),
          )
      }
      return Math.max(0, Math.min(buffer.length, size - position))
    },
    close() {},
  }
}

function noteHeader(payload: number, type: number, owner: string): Buffer {
  const words = Buffer.alloc(16)
  words.writeUInt32LE(4, 0)
  words.writeUInt32LE(payload, 4)
  words.writeUInt32LE(type, 8)
  words.write(`${owner}\0`, 12)
  return words
}

t.test('a gigabyte of somebody else is passed over', async t => {
  const base = readFileSync(compile(dir, 'base.so', 'int f(void) { return 1; }', [...flags, '-Wl,--build-id']))
  const json = Buffer.from('[{"soname":["far.so"]}]\0')
  const far = base.length + 16 + 2 ** 30
  const parts = [
    { at: 0, bytes: base },
    { at: base.length, bytes: noteHeader(2 ** 30, 1, 'BIG') },
    { at: far, bytes: Buffer.concat([noteHeader(json.length, DLOPEN, 'FDO'), json]) },
  ]
  const size = far + 16 + json.length
  const headers = Array.from({ length: base.readUInt16LE(56) }, (_, index) => 64 + index * 56)
  const at = headers.findLast(header => base.readUInt32LE(header) === 4) as number
  base.writeBigUInt64LE(BigInt(base.length), at + 8)
  base.writeBigUInt64LE(BigInt(size - base.length), at + 32)
  const file = sparse(size, parts)
  t.same(
    readElf(file).dlopen.map(({ soname }) => soname),
    [['far.so']],
  )
  t.ok(file.bytesRead < 100_000, `${file.bytesRead} bytes read`)
  t.match(readElf(sparse(size - 1, parts)).unreadNotes, [{ because: 'the segment runs past the end of the file' }])
})

t.test('more notes than there can be', async t => {
  const { unreadNotes } = facts(dlopen('[]').repeat(2000))
  t.match(unreadNotes, [{ because: 'the file has more than 1024 notes' }])
})

t.test("Debian 13's libsystemd", async t => {
  const directory = join(roots.trixie(), 'usr/lib/x86_64-linux-gnu')
  const path = join(directory, readdirSync(directory).find(name => name.startsWith('libsystemd.so.0.')) as string)
  const theirs = theirDlopen(path)
  t.ok(theirs.length >= 3)
  t.match(withFile(path, readElf), { dlopen: theirs, unreadNotes: [] })
})
