import { readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { KeptDecisions } from '../../lib/launch/kept.js'
import { hostAt } from '../../lib/launch/machine.js'
import { decideContainer } from '../../lib/launch/prepare.js'
import { library } from '../container/tree.js'
import { libraries, newStore, packInto, program, put, tree } from '../decide/scenario.js'

const lib = library('libone.so.1', 'int one(void) { return 7; }')
const app = program('int one(void); int main(void) { return one(); }', { 'libone.so.1': lib })
const store = newStore()
const { digest } = packInto(store, tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: lib }))
const root = tree({ [`${libraries}/libone.so.1`]: lib })
const question = { digest, root, policy: [] }
const decision = decideContainer(store, 'app', hostAt(root, {})).decision
/** As if it were decided long after all files came to be. */
const LATER = BigInt(Date.now() + 60_000) * 1_000_000n

const keep = () => new KeptDecisions(store, store, question).keep(decision, LATER)
const recall = (other = {}) => new KeptDecisions(store, store, { ...question, ...other }).recall()

t.test('told again while nothing that it rests on changed', async t => {
  t.equal(recall(), null)
  keep()
  const { placement: _, evidence: __, startUp: ____, libraries: chosen, ...rest } = decision
  const laid = { files: 1, bytes: app.length }
  t.same(recall(), { ...rest, laid, libraries: chosen.map(({ file: ___, ...library }) => library) })
})

t.test('not for another question', async t => {
  t.equal(recall({ policy: [{ match: '*', choice: 'private' }] }), null)
  t.equal(recall({ digest: 'f'.repeat(64) }), null)
  t.equal(recall({ root: tree({}) }), null)
})

t.test('not when a file is another, or one appears where none was', async t => {
  keep()
  put(root, `${libraries}/libone.so.1`, lib)
  t.equal(recall(), null, 'of the same bytes, but who knows')
  keep()
  t.not(recall(), null)
  put(root, '/etc/ld.so.preload', '')
  t.equal(recall(), null)
  rmSync(join(root, 'etc/ld.so.preload'))
  t.not(recall(), null)
  put(root, '/usr/bin/new-neighbour', '')
  t.equal(recall(), null)
})

t.test('not when it was decided while something changed', async t => {
  const path = join(root, libraries, 'libone.so.1')
  utimesSync(path, 1, 1)
  new KeptDecisions(store, store, question).keep(decision, BigInt(Date.now()) * 1_000_000n)
  t.equal(recall(), null)
})

t.test('not when what is kept is damaged', async t => {
  keep()
  const cache = join(store.home, 'cache')
  for (const name of readdirSync(cache).filter(name => name.startsWith('decision-'))) {
    const text = readFileSync(join(cache, name), 'utf8')
    for (const damaged of ['', text.slice(0, -1), text.replace('"runnable":true', '"runnable":false')]) {
      writeFileSync(join(cache, name), damaged)
      t.equal(recall(), null)
    }
  }
})
