import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { forEachPerson } from '../support/site.js'

forEachPerson((who, makeSite) =>
  t.test(`around the Node that plans, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const bin = join(site.home, 'bin')
    mkdirSync(bin)

    /** What `script` shows when "$@" is the program, the same launched with nothing planned, and with its plan and no Node. */
    const runs = async (script: string, ...program: readonly string[]) => {
      const run = (...line: readonly string[]) => site.command('/bin/sh', ['-c', script, 'sh', ...line])
      const bare = await run(...program)
      rmSync(join(site.store, 'plans'), { recursive: true, force: true })
      symlinkSync(process.execPath, join(bin, 'node'))
      const cold = await run(site.launcher, ...program)
      rmSync(join(bin, 'node'))
      const warm = await run(site.launcher, ...program)
      return { bare, cold, warm }
    }

    t.test('the program gets the variables that steer Node or its loader, and Node does not', async t => {
      writeFileSync(join(site.home, 'libstdc++.so.6'), 'what Node needs, and env does not')
      const libraries = { LD_LIBRARY_PATH: `/nonexistent:${site.home}` }
      t.not((await site.command(process.execPath, ['--version'], { env: libraries })).status, 0)
      const variables = [
        'FIRST=1',
        `PATH=${bin}`,
        `APPC_HOME=${site.store}`,
        `LD_LIBRARY_PATH=${libraries.LD_LIBRARY_PATH}`,
        'NODE_OPTIONS=--nope',
        'APPC_CALLER_LD_LIBRARY_PATH=my own',
        'NODE_EXTRA_CA_CERTS=/nonexistent',
        'LD_BIND_NOW=',
        'GLIBC_TUNABLES=glibc.malloc.perturb=1',
        'APPC_CALLER_=',
        'NODES=4',
        'LAST==',
      ]
      const script = `exec /usr/bin/env -i ${variables.map(text => `'${text}'`).join(' ')} "$@"`
      const { bare, cold, warm } = await runs(script, '/usr/bin/env')
      t.same(bare, { status: 0, signal: null, stdout: `${variables.join('\n')}\n`, stderr: '' })
      const launched = { ...bare, stdout: `${bare.stdout}APPC_CONTAINER=/usr/bin/env\n` }
      t.same(cold, launched)
      t.same(warm, launched)
    })

    for (const closing of ['<&-', '>&- 2>&-', '<&- >&- 2>&-', '']) {
      t.test(`standard streams that are closed stay so: ${closing || 'none'}`, async t => {
        // `ls /proc/self/fd` would open one itself.
        const show = 'for fd in 0 1 2 3 4; do if [ -e /proc/$$/fd/$fd ]; then echo $fd; fi; done >&3'
        const script = `PATH=${bin}; exec "$@" 3>&1 ${closing}`
        const { bare, cold, warm } = await runs(script, '/bin/sh', '-c', show)
        t.match(bare, { status: 0, stdout: /3\n$/, stderr: '' })
        t.same(cold, bare)
        t.same(warm, bare)
      })
    }
  }),
)
