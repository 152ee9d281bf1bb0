import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { program, tree } from '../decide/scenario.js'
import { endOf, started } from '../support/lasting.js'
import { forEachPerson, type Site } from '../support/site.js'

t.setTimeout(180_000)
const MODULE = '/usr/lib/held/module.so'

/** Says what its module says, which it opens anew whenever it gets a line. */
const PROGRAM = `
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
  char line[80];
  puts("ready"); fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    void *module = dlopen("${MODULE}", RTLD_NOW);
    const char *(*say)(void) = module ? (const char *(*)(void))dlsym(module, "say") : 0;
    puts(say ? say() : dlerror()); fflush(stdout);
    if (module) dlclose(module);
  }
  return 0;
}`

function treeWith(text: string): string {
  const root = tree({
    '/usr/bin/held': program(PROGRAM),
    [MODULE]: program(`const char *say(void) { return "${text}"; }`, {}, ['-shared', '-fPIC']),
  })
  // For people other than the one who runs the tests.
  chmodSync(dirname(root), 0o755)
  return root
}

const [first, second] = [treeWith('one'), treeWith('two')]

async function pack(site: Site, root: string): Promise<void> {
  const { status, stderr } = await site.appc(
    'pack',
    '--root',
    root,
    '--name',
    'held',
    '--update',
    'held',
    '--include',
    MODULE,
  )
  if (status !== 0) throw new Error(stderr)
}

async function asked(child: ChildProcess): Promise<string> {
  child.stdin?.write('\n')
  const [said] = await once(child.stdout as NodeJS.ReadableStream, 'data')
  return String(said).trim()
}

async function collected(site: Site, ...options: readonly string[]) {
  const { status, stdout, stderr } = await site.appc('gc', '--keep', '1', '--json', ...options)
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

/** Starts it so that it is stopped when it has found its plan to hold, and has opened nothing yet; returns it with its own id. */
async function stopped(site: Site): Promise<readonly [ChildProcess, number]> {
  const inject = ['-qq', '-e', 'trace=unshare', '-e', 'inject=unshare:signal=SIGSTOP:when=1']
  const child = site.start('strace', [...inject, site.launcher, 'held'])
  await new Promise<void>(resolve => {
    let said = ''
    child.stderr?.on('data', piece => {
      said += piece
      if (said.includes('stopped by SIGSTOP')) resolve()
    })
  })
  return [child, Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'latin1'))]
}

forEachPerson((who, makeSite) =>
  t.test(`a launch whose view was collected, and one of the same name begun, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    await pack(site, first)
    t.match(await site.run(['held'], { input: '\n' }), { status: 0, stdout: 'ready\none\n' })
    const [digest = ''] = readdirSync(join(site.store, 'views'))
    const views = join(site.store, 'views', digest)
    const [view = ''] = readdirSync(views)
    const [launch, pid] = await stopped(site)
    renameSync(join(views, view), join(site.store, 'quarantine', view))
    for (const layer of readdirSync(join(site.store, 'quarantine', view))) {
      mkdirSync(join(views, view, layer, '.appc-host'), { recursive: true })
      for (const path of [join(views, view), join(views, view, layer)]) chownSync(path, site.user.uid, site.user.gid)
    }
    process.kill(pid, 'SIGCONT')
    const [said] = await once(launch.stdout as NodeJS.ReadableStream, 'data')
    t.equal(String(said), 'ready\n')
    t.equal(await asked(launch), 'one')
    launch.stdin?.end()
    t.same(await endOf(launch), [0, null])
  }),
)

forEachPerson((who, makeSite) =>
  t.test(`a program on a generation that is collected, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    await pack(site, first)
    const old = await started(site, ['held'])
    const [digest = ''] = readdirSync(join(site.store, 'views'))
    await pack(site, second)
    t.match(await collected(site, '--grace', '0'), {
      generations: [{ name: 'held', number: 1 }],
      views: [],
      unseen: [],
    })
    t.equal(await asked(old), 'one', 'it opens now what is no generation any more')
    const current = await started(site, ['held'])
    t.equal(await asked(current), 'two')

    const dry = await collected(site, '--grace', '0', '--dry-run')
    t.match(await collected(site, '--grace', '0'), { ...dry, dryRun: false })
    t.equal(await asked(old), 'one')
    old.stdin?.end()
    t.same(await endOf(old), [0, null])
    const { views, objects, freed } = await collected(site, '--grace', '0')
    t.match(views, [new RegExp(`^${digest}/`)])
    t.ok(objects >= 1 && freed > 0, `${objects} objects, ${freed} bytes`)
    t.notOk(existsSync(join(site.store, 'views', digest)))
    t.same(readdirSync(join(site.store, 'quarantine')), [])
    t.match(await collected(site, '--grace', '0'), { views: [], objects: 0, freed: 0 })

    t.equal(await asked(current), 'two')
    current.stdin?.end()
    t.same(await endOf(current), [0, null])
    t.match(await site.run(['held']), { status: 0, stdout: 'ready\n' }, 'its plan and view are still there')
  }),
)
