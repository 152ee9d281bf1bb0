import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { program, tree } from '../decide/scenario.js'
import { endOf } from '../support/lasting.js'
import { forEachPerson, type Site } from '../support/site.js'

/** For each line of its input it starts itself once more, which tells whose its libraries are. */
const READER = `
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
const char *whose(void), *own(void);
int main(int argc, char **argv) {
  if (argc > 1) { printf("%s %s\\n", whose(), own()); return 0; }
  for (char c; read(0, &c, 1) == 1;) if (c == '\\n') {
    if (fork() == 0) execl("/usr/bin/reader", "reader", "once", NULL);
    wait(NULL);
  }
}`
const shared = (whose: string, more = 'int extra(void) { return 1; }') =>
  program(`const char *whose(void) { return "${whose}"; } ${more}`, {}, [
    '-shared',
    '-fPIC',
    '-Wl,-soname,libshared.so.1',
  ])
const OWN = program('int extra(void); const char *own(void) { return extra() ? "own" : ""; }', {}, [
  '-shared',
  '-fPIC',
  '-Wl,-soname,libown.so.1',
])

/**
 * A directory of this machine in which containers have a library of their own beside the machine's. It has to be one that may be
 * covered, which those of tests may not (/tmp).
 */
const place = mkdtempSync('/opt/appc-refresh-')
t.teardown(() => rmSync(place, { recursive: true }))
chmodSync(place, 0o755)
const library = join(place, 'libshared.so.1')

/** As dpkg does it. */
function install(content: Buffer): void {
  writeFileSync(`${library}.dpkg-new`, content, { mode: 0o755 })
  renameSync(`${library}.dpkg-new`, library)
}

const root = tree({
  '/usr/bin/reader': program(READER, { 'libshared.so.1': shared('the container’s'), 'libown.so.1': OWN }, [
    `-Wl,-rpath,${place}`,
  ]),
  [library]: shared('the container’s'),
  [`${place}/libown.so.1`]: OWN,
})
chmodSync(dirname(root), 0o755)

/** A container that runs, and what it answers. */
function reading(site: Site, options: readonly string[] = []) {
  const child = site.start(site.launcher, [...options, 'reader'])
  const lines = createInterface(child.stdout as NodeJS.ReadableStream)[Symbol.asyncIterator]()
  const read = async () => {
    child.stdin?.write('\n')
    return (await lines.next()).value
  }
  return { child, read }
}

forEachPerson((who, makeSite) =>
  t.test(`the host is upgraded under containers that run, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    install(shared('the host’s'))
    await site.packAll([root, 'reader', 'reader'])
    const stateOf = async () => JSON.parse((await site.appc('ps', '--json')).stdout)
    const { child, read } = reading(site)
    t.equal(await read(), 'the host’s own')
    t.match(await stateOf(), { state: 'current', changed: [] })

    t.test('refresh shows it what is there now', async t => {
      install(shared('the upgraded'))
      t.equal(await read(), 'the host’s own', 'as it was found before')
      t.match(await stateOf(), { state: 'moved', changed: [library], otherView: false })
      t.match((await site.appc('ps')).stdout, `host moved on: ${library}`)
      t.match(await site.appc('refresh', 'reader'), {
        status: 0,
        stdout: `refreshed reader:${child.pid}\n`,
        stderr: '',
      })
      t.equal(await read(), 'the upgraded own')
      t.match(await stateOf(), { state: 'current', changed: [] })
    })

    t.test('also what another launch has been planned anew for', async t => {
      install(shared('the second'))
      const later = reading(site)
      t.equal(await later.read(), 'the second own')
      t.equal(await read(), 'the upgraded own')
      const states = (await site.appc('ps', '--json')).stdout
        .trim()
        .split('\n')
        .map(line => JSON.parse(line))
      const told = states.map(({ pid, state, changed }) => [pid, state, changed])
      t.same(told.find(([pid]) => pid === child.pid)?.slice(1), ['moved', [library]])
      t.same(told.find(([pid]) => pid === later.child.pid)?.slice(1), ['current', []])
      const refreshed = { schema: 'appc.refresh/1', name: 'reader', pid: child.pid, refreshed: true, because: null }
      t.match(JSON.parse((await site.appc('refresh', `reader:${child.pid}`, '--json')).stdout), refreshed)
      t.equal(await read(), 'the second own')
      later.child.stdin?.end()
      await endOf(later.child)
    })

    t.test('a confined one, whose store is out of its sight', async t => {
      const confined = reading(site, ['--sandbox'])
      t.equal(await confined.read(), 'the second own')
      install(shared('the third'))
      t.equal(await confined.read(), 'the second own')
      t.match(await site.appc('refresh', `reader:${confined.child.pid}`), { status: 0, stderr: '' })
      t.equal(await confined.read(), 'the third own')
      t.match(await site.appc('refresh', 'reader'), { status: 0 })
      t.equal(await read(), 'the third own')
      confined.child.stdin?.end()
      await endOf(confined.child)
    })

    t.test('what takes other private files takes a restart', async t => {
      install(shared('the poorer', ''))
      const refused = await site.appc('refresh', 'reader')
      const because = `reader:${child.pid} needs a restart: other files are private now (appc-run --replace reader)\n`
      t.match(refused, { status: 1, stdout: because, stderr: '' })
      t.equal(await read(), 'the third own', 'nothing was changed')
      t.match(await stateOf(), { state: 'moved', otherView: true })
      const replaced = reading(site, ['--replace'])
      t.equal(await replaced.read(), 'the container’s own')
      t.same(await endOf(child), [null, 'SIGTERM'])
      t.match(await stateOf(), { state: 'current', pid: replaced.child.pid })
      replaced.child.stdin?.end()
      await endOf(replaced.child)
      t.match(await site.appc('refresh', 'reader'), { status: 1, stderr: /reader does not run/ })
    })

    t.test('one in a tree takes a restart', async t => {
      const host = tree({ [library]: shared('the tree’s') })
      const { child, read } = reading(site, ['--root', host])
      t.equal(await read(), 'the tree’s own')
      const because = 'it was started with --root, or with other variables of the loader'
      t.match(await site.appc('refresh', 'reader', '--json'), { status: 1, stdout: because })
      child.stdin?.end()
      await endOf(child)
    })
  }),
)
