import t from 'tap'
import { DT, Dynamic } from '../../lib/elf/dynamic.js'
import { openElf } from '../../lib/elf/header.js'
import { readSymbols } from '../../lib/elf/symbols.js'
import { foreignFiles, machineFiles, withFile } from '../support/elf-files.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'

/**
 * The linker's own hash tables against the symbols that are read: a loader must find every export by its name in them, as glibc's
 * do_lookup_x does. They also bound how many symbols there are. readelf does not use them.
 */
const dir = temporaryDirectory()

/** Names to the indices of the chain in which the loader would look for them; null where the Bloom filter ends the search. */
type Lookup = (name: Buffer) => Iterable<number>

function gnuLookup(dynamic: Dynamic, address: number): Lookup {
  const word = dynamic.order.wide ? 8 : 4
  const header = dynamic.fields(address, 16, 'hash table')
  const [buckets, first, filterWords, shift] = [0, 4, 8, 12].map(at => header.u32(at)) as [
    number,
    number,
    number,
    number,
  ]
  const bucketsAt = address + 16 + filterWords * word
  const u32 = (at: number) => dynamic.fields(at, 4, 'hash table').u32(0)
  return function* (name) {
    const hash = name.reduce((h, byte) => (Math.imul(h, 33) + byte) >>> 0, 5381)
    const bits = word * 8
    const filterAt = address + 16 + (Math.floor(hash / bits) % filterWords) * word
    const isSet = (bit: number) => {
      // A word of 64 bits in two halves, each in the file's own byte order.
      const half = bit >= 32 === dynamic.order.little ? 4 : 0
      return ((u32(filterAt + (dynamic.order.wide ? half : 0)) >>> (bit % 32)) & 1) === 1
    }
    if (!isSet(hash % bits) || !isSet((hash >>> shift) % bits)) return
    let index = u32(bucketsAt + (hash % buckets) * 4)
    for (let more = index !== 0; more; index++) {
      const chained = u32(bucketsAt + (buckets + index - first) * 4)
      if (chained >>> 1 === hash >>> 1) yield index
      more = (chained & 1) === 0
    }
  }
}

function sysvLookup(dynamic: Dynamic, address: number): Lookup {
  const u32 = (index: number) => dynamic.fields(address + index * 4, 4, 'hash table').u32(0)
  return function* (name) {
    let hash = 0
    for (const byte of name) {
      hash = ((hash << 4) + byte) >>> 0
      const high = hash & 0xf000_0000
      hash = (hash ^ (high >>> 24) ^ high) >>> 0
    }
    for (let index = u32(2 + (hash % u32(0))); index !== 0; index = u32(2 + u32(0) + index)) yield index
  }
}

/** Exports that are not in the table, and how many were looked for. */
function search(path: string): { readonly lost: readonly string[]; readonly count: number } {
  return withFile(path, file => {
    const { window, header } = openElf(file)
    const dynamic = Dynamic.read(window, header)
    const { exports } = readSymbols(file)
    const gnu = dynamic?.value(DT.GNU_HASH) ?? null
    const sysv = dynamic?.value(DT.HASH) ?? null
    const symbols = dynamic?.value(DT.SYMTAB) ?? null
    if (dynamic === null || symbols === null || (gnu === null && sysv === null)) return { lost: [], count: 0 }
    const nameOf = (index: number) =>
      dynamic.string(
        dynamic.fields(symbols + index * (dynamic.order.wide ? 24 : 16), 4, 'symbol').u32(0),
        'symbol name',
      )
    const lookups = [
      ...(gnu === null ? [] : [gnuLookup(dynamic, gnu)]),
      ...(sysv === null ? [] : [sysvLookup(dynamic, sysv)]),
    ]
    const names = [...new Set(exports.map(({ name }) => name))]
    const isFound = (lookup: Lookup, name: string) => {
      for (const index of lookup(Buffer.from(name))) if (nameOf(index) === name) return true
      return false
    }
    return {
      lost: names.filter(name => lookups.some(lookup => !isFound(lookup, name))),
      count: names.length * lookups.length,
    }
  })
}

t.test('every export is found by its name', async t => {
  let total = 0
  const both = compile(dir, 'libboth.so', 'int a, b, c; int f(void) { return 1; }', [
    '-shared',
    '-fPIC',
    '-nostdlib',
    '-Wl,--hash-style=both',
  ])
  t.equal(search(both).count, 8)
  for (const path of [both, ...machineFiles(200), ...foreignFiles()]) {
    const { lost, count } = search(path)
    t.same(lost, [], path)
    total += count
  }
  t.ok(total > 20_000)
  t.comment(`${total} names`)
})
