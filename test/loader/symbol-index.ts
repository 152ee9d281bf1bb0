import t from 'tap'
import type { ElfFacts, ElfSymbols } from '../../lib/elf/types.js'
import { Process } from '../../lib/loader/bind.js'
import { SymbolIndex } from '../../lib/loader/symbol-index.js'

const facts = { verdefs: [], verneeds: [] } as unknown as ElfFacts
const table = (imports: readonly string[], exports: readonly string[]) =>
  ({
    imports: imports.map(name => ({ name })),
    exports: exports.map(name => ({ name })),
  }) as unknown as ElfSymbols

const object = (name: string) => ({ path: `/${name}`, realPath: `/${name}`, names: [name], facts })

t.test('who exports a name, in the order in which the tables came', async t => {
  const index = new SymbolIndex()
  const [one, two] = [table([], ['a', 'b']), table([], ['b'])]
  for (const symbols of [one, two, one]) index.table(symbols, facts)
  t.equal(index.size, 2)
  t.same(
    index.exportersOf('b').map(({ table }) => table.symbols),
    [one, two],
  )
  t.same(index.exportersOf('c'), [])
})

t.test(
  'a process sees none of the tables that came into the index behind it, and all that come with an extension',
  async t => {
    const index = new SymbolIndex()
    const tables = new Map([
      ['/program', table(['late', 'early'], [])],
      ['/early', table([], ['early'])],
      ['/plugin', table(['late', 'early'], [])],
      ['/late', table([], ['late', 'early'])],
    ])
    const symbolsOf = ({ path }: { readonly path: string }) => tables.get(path) as ElfSymbols
    const program = new Process({ objects: [object('program'), object('early')], loader: null }, symbolsOf, index)
    t.same([...program.bind(0)], [-1, 1])
    const extended = program.with([object('plugin'), object('late')], symbolsOf)
    t.same([...program.bind(0)], [-1, 1], 'as before, though the index has grown')
    t.same([...extended.bind(2)], [3, 1], 'what was there comes first')
    t.same([...extended.bind(0)], [3, 1])
    t.equal(extended.supplier({ name: 'late' }), 3)
    t.equal(program.supplier({ name: 'late' }), -1)
  },
)
