import { linkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Contents } from '../../lib/decide/home.js'
import { Looked, Mix } from '../../lib/decide/mix.js'
import { groundOf, Selection } from '../../lib/decide/selection.js'
import { selfCheck } from '../../lib/decide/self-check.js'
import type { Placement } from '../../lib/decide/types.js'
import { FactsCache } from '../../lib/loader/facts-cache.js'
import { library } from '../container/tree.js'
import { libraries, mix, newStore, openIn, packInto, program, tree } from './scenario.js'

const older = library('libone.so.1', 'int one(void) { return 1; }')
const newer = library('libone.so.1', 'int one(void) { return 2; } int two(void) { return 2; }')
const app = program('int one(void), two(void); int main(void) { return one() + two(); }', { 'libone.so.1': newer })
const home = tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: newer })
const host = tree({ [`${libraries}/libone.so.1.1`]: older, [`${libraries}/libone.so.1`]: { link: 'libone.so.1.1' } })
linkSync(join(host, libraries, 'libone.so.1.1'), join(host, libraries, 'libuno.so'))

/** What is said of a placement, where the container's libone was decided on. */
function checked(
  change: (placement: Map<string, Placement extends ReadonlyMap<string, infer N> ? N : never>) => void,
): readonly string[] {
  const { decision, host: at, container } = mix(home, host)
  const placement = new Map(decision.placement)
  const paths = [...placement.keys()].filter(path => /lib(one|uno)/.test(path))
  change(placement)
  const contents = new Contents(container.manifest)
  const selection = new Selection(groundOf(contents, at.packages !== null, () => true))
  selection.takeLibrary('libone.so.1', { rule: 'symbols', text: 'for the test' })
  const store = newStore()
  packInto(store, home)
  const looked = new Looked(at, contents, openIn(store), new FactsCache(), null)
  const seen = new Mix(looked, placement)
  const [file] = contents.programs()
  if (!file) throw new Error('a program')
  const graph = seen.graph('/usr/bin/app')
  const places = {
    nodes: placement,
    libraries: new Map([['libone.so.1', paths]]),
    searched: new Set<string>(),
    skipped: [],
  }
  return selfCheck(at, contents, selection, seen, places, [{ file, graph, scope: graph, judged: [] }]).map(
    ({ text }) => text,
  )
}

t.test('as it was decided: nothing to say', async t => {
  t.same(
    checked(() => {}),
    [],
  )
})

t.test('a name of the replaced file that was forgotten', async t => {
  t.same(
    checked(placement => placement.delete(`${libraries}/libuno.so`)),
    [`${libraries}/libuno.so would still reach the host's ${libraries}/libuno.so, which is replaced`],
  )
})

t.test('a program that would load the other copy', async t => {
  const texts = checked(placement => placement.delete(`${libraries}/libone.so.1`))
  t.same(texts, [], 'the host’s link leads to the private file')
  const both = checked(placement => {
    placement.delete(`${libraries}/libone.so.1`)
    placement.delete(`${libraries}/libone.so.1.1`)
  })
  t.match(
    both[0],
    /^\/usr\/bin\/app would load \S+\/libone\.so\.1, though the container's libone\.so\.1 was decided on$/,
  )
})
