import t from 'tap'
import type { Start } from '../../lib/elf/header.js'
import type { ElfFacts, OpenFile } from '../../lib/elf/types.js'
import { type Inspection, inspect } from '../../lib/loader/facts-cache.js'
import { memoryFileSystem } from '../../lib/loader/memory-file-system.js'
import { Decoder, encode, isEncodable, Strings, Words } from '../../lib/store/facts-codec.js'
import { buildElf } from '../../lib/testing/build-elf.js'
import type { ElfDescription } from '../../lib/testing/types.js'
import { foreignFiles, machineFiles, withFile } from '../support/elf-files.js'

type Known = Inspection & { readonly start: Start; readonly facts: ElfFacts }

function inspected(file: OpenFile): Inspection {
  const steps = inspect(file)
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
  }
}

function built(description: ElfDescription): Known {
  const file = memoryFileSystem({ '/x': { bytes: Buffer.from(buildElf(description)) } }).open('/x')
  return inspected(file) as Known
}

/** The same once more, by way of what is written. */
function again(inspections: readonly Known[]): Inspection[] {
  const words = new Words(new Uint32Array())
  const strings = new Strings('')
  const places = inspections.map(({ start, facts }) => {
    const place = words.length
    encode(start, facts, words, strings)
    return place
  })
  const decoder = new Decoder(new Words(words.toArray()), new Strings(strings.toString()))
  return places.map(place => decoder.decode(place))
}

t.test('all that is known of real files comes back', async t => {
  const files = [...machineFiles(700), ...foreignFiles()]
  const known = files.map(path => withFile(path, inspected)).filter((one): one is Known => one.facts !== null)
  t.ok(known.length > 500)
  for (const [index, inspection] of again(known).entries()) t.same(inspection, known[index])
})

t.test('and what is rare in them', async t => {
  const known = [
    built({}),
    built({ dynamic: false, type: 'exec' }),
    built({ class: 32, data: 'big', osabi: 3, abiVersion: 7, executableStack: true, tls: true }),
    built({ interpreter: '', soname: '', rpath: '', runpath: '', needed: ['', ''] }),
    built({
      auxiliaries: ['a', 'ä\u{1f600}'],
      filters: ['"f'],
      audits: ['\\', '\x01'],
      flags: 0xffffffff,
      flags1: 0xffffffff,
    }),
    built({
      abiTag: { os: 1, kernel: [4, 5, 6] },
      buildId: '00ff',
      packageMetadata: { type: 'deb', ['__proto__']: 'x' },
    }),
    built({ dlopen: [{ soname: ['a', 'b'], feature: 'f', description: '\ud800', priority: 'recommended' }] }),
    built({ verdefs: ['V1', { name: 'V2', weak: true }], verneeds: [{ file: 'a', version: 'W', weak: true }] }),
    built({ needed: Array.from({ length: 2000 }, () => 'a') }),
  ]
  for (const [index, { facts }] of known.entries()) t.ok(facts, `${index}`)
  for (const [index, inspection] of again(known).entries()) t.same(inspection, known[index], `${index}`)
})

t.test('flags that have no room are told beforehand', async t => {
  const { facts } = built({})
  t.equal(isEncodable(facts), true)
  t.equal(isEncodable({ ...facts, flags: 2 ** 32 }), false)
  t.equal(isEncodable({ ...facts, flags1: 2 ** 32 }), false)
})

t.test('words that mean nothing are an error', async t => {
  const decode = (words: readonly number[], strings: string) => () =>
    new Decoder(new Words(Uint32Array.from(words)), new Strings(strings)).decode(0)
  const rest = JSON.stringify({})
  const file = [0, 0, 0, 3, 62, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]
  t.doesNotThrow(decode(file, `\0${rest}`))
  for (let length = 0; length < file.length; length++) t.throws(decode(file.slice(0, length), `\0${rest}`), RangeError)
  t.throws(decode(file.with(8, 2), `\0${rest}`), RangeError, 'no such string')
  t.throws(decode(file.with(14, 0xffffffff), `\0${rest}`), RangeError, 'a list longer than the words')
  t.throws(decode(file, '\0{'), SyntaxError)
})
