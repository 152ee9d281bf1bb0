import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { libraries, program, tree } from '../decide/scenario.js'
import { refusing } from '../support/refusing.js'
import { forEachPerson } from '../support/site.js'

const library = program('int held(void) { return 0; }', {}, ['-shared', '-fPIC', '-Wl,-soname,libheld.so.1'])
/** Says that it runs, and ends when its input does. With CLOSED=1 nobody but root may look into it by then. */
const waiting = program(
  `#include <stdlib.h>
  #include <sys/prctl.h>
  #include <unistd.h>
  int held(void);
  int main(void) {
    char c;
    if (getenv("CLOSED")) prctl(PR_SET_DUMPABLE, 0);
    write(1, "ready\\n", 6);
    read(0, &c, 1);
    return held();
  }`,
  { 'libheld.so.1': library },
)
const root = tree({
  '/usr/bin/held': waiting,
  '/usr/bin/other': program('int held(void); int main(void) { return held(); }', { 'libheld.so.1': library }),
  [`${libraries}/libheld.so.1`]: library,
})
// For people other than the one who runs the tests.
chmodSync(dirname(root), 0o755)

const launches = [
  ['overlays', []],
  ['what stands in for overlays', refusing('fsconfig@1=0:ENODEV')],
] as const

// Where a file of one container is a directory of the other's.
const below = tree({ '/usr/bin/other': program('int main(void) { return 0; }'), '/opt/held/other': 'data' })
chmodSync(dirname(below), 0o755)

for (const [what, before] of launches)
  forEachPerson((who, makeSite) =>
    t.test(`a container whose program runs with ${what}, ${who}`, async t => {
      const site = makeSite()
      t.teardown(() => site.remove())
      await site.pack(root, 'held', 'held')
      await site.pack(root, 'other', 'other')
      t.match(await site.run(['other']), { status: 0 })

      const isKeptBy = async ({ pid }: ChildProcess) => {
        const stderr = new RegExp(`the process ${pid} runs with its files`)
        t.match(await site.appc('remove', 'held'), { status: 1, stderr })
      }
      const [command, ...words] = [...before, site.launcher, 'held']
      const running = site.start(command, words)
      t.teardown(() => running.kill())
      const ended = once(running, 'close')
      await once(running.stdout as NodeJS.ReadableStream, 'data')
      // As mending does, and then the view has other files than the program.
      const held = site.listing().filter(path => /^views\/.*\/(held|libheld\.so\.1)$/.test(path))
      t.ok(held.length > 0)
      for (const path of held.map(path => join(site.store, path))) {
        copyFileSync(path, `${path}.new`)
        renameSync(`${path}.new`, path)
      }
      await site.pack(below, 'below', 'other', '--include', '/opt/held/other')
      t.match(await site.run(['below']), { status: 0 })
      const listed = site.listing()
      const refused = await site.appc('remove', 'held', '--json')
      t.match(refused, { status: 1, stdout: '' })
      t.match(JSON.parse(refused.stderr), {
        code: 'CONTAINER_IN_USE',
        cause: `the process ${running.pid} runs with its files`,
      })
      t.same(site.listing(), listed, 'nothing was removed')
      t.match(await site.appc('remove', 'other'), { status: 0 }, 'which has the same library')
      t.match(await site.appc('remove', 'below'), { status: 0 }, 'which has a directory where the program is')

      running.stdin?.end()
      t.same(await ended, [0, null])

      t.match(await site.appc('repair'), { status: 0 })
      const closed = site.start(command, words, { env: { CLOSED: '1' } })
      t.teardown(() => closed.kill())
      const closedEnded = once(closed, 'close')
      await once(closed.stdout as NodeJS.ReadableStream, 'data')
      await isKeptBy(closed)
      closed.stdin?.end()
      t.same(await closedEnded, [0, null])
      // As a launch that is not so far yet: it has opened the layers.
      const opening = 'exec 9<"$(dirname "$1")"; echo ready; read line'
      const program = held.find(path => path.endsWith('/held')) ?? ''
      const launching = site.start('sh', ['-c', opening, '-', join(site.store, program)])
      t.teardown(() => launching.kill())
      const launched = once(launching, 'close')
      await once(launching.stdout as NodeJS.ReadableStream, 'data')
      await isKeptBy(launching)
      launching.stdin?.end()
      await launched
      t.match(await site.appc('remove', 'held'), { status: 0, stderr: '' })
      t.same(
        site.listing().filter(path => /^(refs|plans|views)\/|^objects\/../.test(path) && !/^objects\/..$/.test(path)),
        [],
      )
    }),
  )
