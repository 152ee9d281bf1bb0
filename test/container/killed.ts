import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { listContainers, removeContainer } from '../../lib/container/containers.js'
import { createStore, type Store } from '../../lib/store/store.js'
import { Writer } from '../../lib/store/writer.js'
import { system } from '../store/system.js'
import { bundled } from '../support/bundled.js'
import { wrongs } from './soundness.js'
import { compile } from './tree.js'

/** The system calls by which each action changes the store. */
const CALLS = {
  pack: ['mkdir', 'write', 'chmod', 'syncfs', 'link', 'unlink', 'fsync', 'rmdir'],
  remove: ['rename', 'unlink', 'fsync', 'rmdir'],
} as const

// A hundred processes under strace.
t.setTimeout(180_000)
const base = t.testdir({})
const tree = join(base, 'tree')
const act = bundled(new URL('./act.js', import.meta.url), base)

const program = (answer: number): Buffer =>
  compile(`void _start(void) { __asm__ volatile("syscall" :: "a"(60), "D"(${answer})); }`, ['-static', '-nostdlib'])
mkdirSync(join(tree, 'bin'), { recursive: true })
mkdirSync(join(tree, 'share'))
for (const [index, name] of ['first', 'second'].entries())
  writeFileSync(join(tree, 'bin', name), program(index), { mode: 0o755 })
for (const name of ['a', 'b', 'c']) writeFileSync(join(tree, 'share', name), name.repeat(1000))

interface Outcome {
  readonly killed: boolean
  readonly acknowledged: boolean
  readonly stderr: string
}

/** Runs an action; with `fate`, that (as strace has it) befalls the process at the nth time that it makes a call. */
function run(action: string, store: Store, name: string, fate?: string, call?: string, nth?: number): Outcome {
  const node = [process.execPath, act, action, store.home, name, tree, '/share']
  const inject = `strace -f -qq -o /dev/null -e trace=${call} -e inject=${call}:${fate}:when=${nth}`.split(' ')
  const [file = '', ...args] = fate === undefined ? node : [...inject, ...node]
  const { stdout, stderr, signal, status } = spawnSync(file, args, { encoding: 'utf8' })
  return { killed: signal === 'SIGKILL' || status === 137, acknowledged: stdout === 'done\n', stderr }
}

/** A copy of a store, at the same place each time. */
function copyOf(original: Store): Store {
  const store = { home: join(base, 'store'), system }
  rmSync(store.home, { recursive: true, force: true })
  cpSync(original.home, store.home, { recursive: true })
  return store
}

function names(store: Store): string[] {
  return listContainers({ own: store, system: null }).map(({ name }) => name)
}

/** Kills `action` on `name` at every nth of every call that it makes, each time in a fresh copy of `start`. */
function killEverywhere(
  t: Test,
  action: keyof typeof CALLS,
  name: string,
  start: Store,
  check: (store: Store, acknowledged: boolean) => void,
): void {
  for (const call of CALLS[action]) {
    let kills = 0
    for (let nth = 1; ; nth++) {
      const store = copyOf(start)
      const { killed, acknowledged, stderr } = run(action, store, name, 'signal=SIGKILL', call, nth)
      t.same(wrongs(store), [], `${action} killed at ${call} ${nth}`)
      check(store, acknowledged)
      t.ok(killed || acknowledged, 'without a kill it succeeds', { stderr })
      if (!killed) break
      kills++
    }
    t.ok(kills > 0, `${call} is called`)
  }
}

const one = { home: join(base, 'one'), system }
createStore(one, 0)

t.test('killed while packing: what was acknowledged is whole, and the next pack tidies up', async t => {
  t.match(run('pack', one, 'first'), { killed: false, acknowledged: true })
  killEverywhere(t, 'pack', 'second', one, (store, acknowledged) => {
    const there = names(store)
    t.ok(there.includes('first'))
    t.ok(!acknowledged || there.includes('second'))
    Writer.use(store, () => {})
    t.same(readdirSync(join(store.home, 'tmp')), [])
  })
})

t.test('killed while removing: the other container is whole, and the removal can be finished', async t => {
  const both = { home: join(base, 'both'), system }
  cpSync(one.home, both.home, { recursive: true })
  t.match(run('pack', both, 'second'), { killed: false, acknowledged: true })
  const digest = listContainers({ own: both, system: null }).find(({ name }) => name === 'second')?.digest ?? ''
  mkdirSync(join(both.home, 'views', digest, 'layer'), { recursive: true })
  for (const plan of ['second', 'second@x']) writeFileSync(join(both.home, 'plans', plan), '')
  killEverywhere(t, 'remove', 'second', both, (store, acknowledged) => {
    const there = names(store)
    t.ok(there.includes('first'))
    t.ok(!acknowledged || !there.includes('second'))
    for (const name of there) removeContainer(store, name)
    const left = readdirSync(store.home, { recursive: true, encoding: 'utf8' }).filter(path =>
      statSync(join(store.home, path)).isFile(),
    )
    t.ok(
      left.every(
        path => ['lock', 'turn', 'publishing', 'links', 'planning'].includes(path) || path.startsWith('plans/'),
      ),
      'nothing is left behind',
    )
  })
})

t.test('a disk that fails is one clear error, and nothing becomes visible half', async t => {
  for (const call of ['mkdir', 'chmod', 'syncfs', 'link', 'fsync'])
    for (let nth = 1; ; nth++) {
      const store = copyOf(one)
      const { acknowledged, stderr } = run('pack', store, 'second', 'error=ENOSPC', call, nth)
      t.same(wrongs(store), [], `${call} ${nth} fails`)
      t.same(readdirSync(join(store.home, 'tmp')), [])
      if (acknowledged) break
      t.match(stderr, /code: 'STORE_UNWRITABLE'/)
      // The last fsync is that of the directory: the ref is there, but nobody was told so.
      if (call !== 'fsync') t.same(names(store), ['first'])
    }
})

t.test('who tells that all is so already has synced it: whoever made it may have been killed before that', async t => {
  const store = copyOf(one)
  const trace = join(base, 'trace')
  const strace = ['-f', '-qq', '-y', '-o', trace, '-e', 'trace=fsync']
  const { stdout } = spawnSync('strace', [
    ...strace,
    process.execPath,
    act,
    'pack',
    store.home,
    'first',
    tree,
    '/share',
  ])
  t.equal(stdout.toString(), 'done\n')
  const synced = [...readFileSync(trace, 'utf8').matchAll(/fsync\(\d+<(.+)>\) += 0/g)].map(([, path]) => path)
  for (const name of ['refs', 'spare']) t.ok(synced.includes(join(store.home, name)), name)
})
