import t from 'tap'
import { decide } from '../../lib/decide/decide.js'
import { describeHost } from '../../lib/launch/describe-host.js'
import { knownHost, parseDescribedHost } from '../../lib/launch/known-host.js'
import { hostAt } from '../../lib/launch/machine.js'
import { library } from '../container/tree.js'
import { libraries, newStore, openIn, packInto, program, tree } from '../decide/scenario.js'

/** What is decided for a tree itself, and for its inventory after a way through a file. */
function bothWays(home: string, host: string, entries: readonly string[] = ['app']) {
  const store = newStore()
  const { manifest } = packInto(store, home, entries)
  const known = knownHost(parseDescribedHost(JSON.stringify(describeHost(store, host))))
  return {
    there: decide(manifest, { ...hostAt(host, {}), policy: [] }, openIn(store)),
    here: decide(manifest, known, openIn(store)),
  }
}

const two = library('libtwo.so.1', 'int two(void) { return 2; }', 'TWO_1 { two; };')
const app = program('int two(void); int main(void) { return two(); }', { 'libtwo.so.1': two })
const home = tree({ '/usr/bin/app': app, [`${libraries}/libtwo.so.1`]: two })

t.test('a library that the host has, another that it has not, and one that lacks a version', async t => {
  const hosts = [
    tree({ [`${libraries}/libtwo.so.1`]: two }),
    tree({}),
    tree({ [`${libraries}/libtwo.so.1`]: library('libtwo.so.1', 'int two(void) { return 2; }') }),
  ]
  for (const host of hosts) {
    const { there, here } = bothWays(home, host)
    t.same(here, there)
    t.same([...here.placement.keys()], [...there.placement.keys()])
  }
})
