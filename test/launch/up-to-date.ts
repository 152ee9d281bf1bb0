import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync, type Stats, statSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { AppcError } from '../../lib/errors.js'
import { addon } from '../../lib/launch/addon.js'
import { openStoreAt } from '../../lib/launch/open-store.js'
import { bringUpToDate } from '../../lib/launch/up-to-date.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'
import { finished, forEachPerson, type Site } from '../support/site.js'
import { LIBRARIES, makeSmallTree, upgrade } from '../support/small-tree.js'

const PROGRAM = '#include <stdio.h>\nint version(void); int main(void) { printf("%d\\n", version()); return 0; }'

const LIBRARY = `${LIBRARIES}/libx.so.1`
const ofVersion = (version: number) => `int version(void) { return ${version}; }`

/** A tree that is the host, and the container `program`, packed from one like it. */
async function prepare(site: Site): Promise<string> {
  const host = join(site.directory, 'host')
  makeSmallTree(host)
  upgrade(host, LIBRARY, ofVersion(1))
  const origin = join(site.directory, 'origin')
  makeSmallTree(origin)
  upgrade(origin, LIBRARY, ofVersion(1))
  compile(origin, 'usr/bin/program', PROGRAM, [join(origin, LIBRARY)])
  await site.pack(origin, 'program', 'program')
  return host
}

/** How many hold a lock of this file, or wait for one: proc(5), /proc/locks. */
function count({ ino }: Stats, who: 'holding' | 'waiting'): number {
  const lines = readFileSync('/proc/locks', 'utf8').split('\n')
  return lines.filter(line => line.includes(`:${ino} `) && line.includes(' -> ') === (who === 'waiting')).length
}

/** The kernel tells nobody that somebody waits for a lock. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setTimeout(20)
}

/** Names of the files by which plans are replaced; each has its own, once it is written. */
async function plansWritten(site: Site, meanwhile: () => Promise<void>): Promise<number> {
  const directory = join(site.store, 'tmp')
  const names = new Set<string>()
  const watcher = watch(directory)
  watcher.on('change', (_, name) => names.add(String(name)))
  await meanwhile()
  // Events come in order.
  writeFileSync(join(directory, 'last'), '')
  while (!names.has('last')) await once(watcher, 'change')
  watcher.close()
  return [...names].filter(name => name.startsWith('file-')).length
}

forEachPerson((who, makeSite) =>
  t.test(`launches at the same time, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const host = await prepare(site)
    const args = ['--root', host, 'program']
    t.match(await site.run(args), { status: 0, stdout: '1\n' })
    const planning = statSync(join(site.store, 'planning'))
    /** Nobody comes further than to the lock of his plan while this is held, but for the first, who waits for this one. */
    const hold = () => {
      const lock = openSync(join(site.store, 'lock'), 'r')
      addon().flock(lock, 'exclusive', true)
      return () => closeSync(lock)
    }
    const launch = (times: number) => Promise.all(Array.from({ length: times }, () => site.run(args)))

    t.test('a hundred after the host has changed: one makes a plan, and all run by it', async t => {
      upgrade(host, LIBRARY, ofVersion(2))
      const written = await plansWritten(site, async () => {
        const release = hold()
        const launches = launch(100)
        await until(() => count(planning, 'waiting') === 99)
        release()
        for (const ran of await launches) t.match(ran, { status: 0, stdout: '2\n', stderr: '' })
      })
      t.equal(written, 1)
    })

    t.test('whoever makes the plan is killed: the next one makes it', async t => {
      upgrade(host, LIBRARY, ofVersion(3))
      const written = await plansWritten(site, async () => {
        const release = hold()
        const kill = ['-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', '-e', 'inject=fsync:signal=SIGKILL:when=1']
        const first = finished(site.start('strace', [...kill, site.launcher, ...args]))
        await until(() => count(planning, 'holding') === 1)
        const launches = launch(10)
        await until(() => count(planning, 'waiting') === 10)
        release()
        t.match(await first, { signal: 'SIGKILL', stdout: '' })
        for (const ran of await launches) t.match(ran, { status: 0, stdout: '3\n', stderr: '' })
      })
      t.equal(written, 1, 'the plan of the one that was killed had no name yet')
    })

    t.test('what somebody who was killed left in tmp/ goes when a plan is made', async t => {
      upgrade(host, LIBRARY, ofVersion(4))
      writeFileSync(join(site.store, 'tmp', 'left'), '')
      t.match(await site.run(args), { status: 0, stdout: '4\n' })
      t.same(readdirSync(join(site.store, 'tmp')), [])
    })

    t.test('where no plan can be made each is told', async t => {
      const unknown = await Promise.all([1, 2, 3].map(() => site.run(['--root', host, 'unknown'])))
      for (const ran of unknown) t.match(ran, { status: 125, stderr: /no container unknown\b/ })
      t.equal(count(planning, 'holding'), 0)
    })
  }),
)

t.test('who is planned for again since he was set up anew is not set up anew meanwhile', async t => {
  const store = openStoreAt(join(temporaryDirectory(), 'store'))
  const isFree = () => {
    const fd = openSync(join(store.home, 'publishing'), 'r')
    try {
      return addon().flock(fd, 'exclusive', false)
    } finally {
      closeSync(fd)
    }
  }
  for (const isUnstable of [false, true]) {
    const seen: boolean[] = []
    const links = bringUpToDate({ store, key: 'none', root: null }, null, false, () => {
      seen.push(isFree())
      if (isUnstable && seen.length === 1) throw new AppcError('PLAN_UNSTABLE', 'on purpose')
    })
    closeSync(links)
    t.same(seen, [true, false])
  }
  t.ok(isFree())
  const broken = new AppcError('PLAN_IMPOSSIBLE', 'on purpose')
  t.throws(
    () =>
      bringUpToDate({ store, key: 'none', root: null }, null, false, () => {
        throw broken
      }),
    broken,
  )
})
