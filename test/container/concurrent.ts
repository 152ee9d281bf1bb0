import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { listContainers } from '../../lib/container/containers.js'
import { createStore } from '../../lib/store/store.js'
import { system } from '../store/system.js'
import { wrongs } from './soundness.js'
import { exampleTree } from './tree.js'

const act = fileURLToPath(new URL('./act.js', import.meta.url))

t.test('processes that pack and remove at the same time', async t => {
  const base = t.testdir({})
  const tree = join(base, 'tree')
  mkdirSync(tree)
  exampleTree(tree)
  const store = { home: join(base, 'store'), system }
  createStore(store, 0)
  const run = async (action: string, name: string): Promise<number> => {
    const [status] = await once(
      spawn(process.execPath, [act, action, store.home, name, tree], { stdio: 'ignore' }),
      'exit',
    )
    return status as number
  }
  // Two of each name: one of the two removals finds nothing to remove.
  const names = ['app', 'recommended', 'app', 'recommended']
  t.same(await Promise.all(names.map(name => run('pack', name))), [0, 0, 0, 0])
  const [, , removals] = await Promise.all([
    run('pack', 'whole'),
    run('pack', 'script'),
    Promise.all(['app', 'app'].map(name => run('remove', name))),
  ])
  t.same(removals.sort(), [0, 1])
  t.same(
    listContainers({ own: store, system: null }).map(({ name }) => name),
    ['recommended', 'script', 'whole'],
  )
  t.same(wrongs(store), [])
})
