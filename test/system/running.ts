import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { readProcess } from '../../lib/launch/processes.js'
import { endOf, lastingTree, started } from '../support/lasting.js'
import { forEachPerson, type Site } from '../support/site.js'

const root = lastingTree()

async function listed(site: Site): Promise<readonly Record<string, unknown>[]> {
  const { stdout } = await site.appc('ps', '--json')
  return stdout.split('\n').flatMap(line => (line === '' ? [] : [JSON.parse(line)]))
}

forEachPerson((who, makeSite) =>
  t.test(`containers that run, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    await site.packAll([root, 'one', 'lasting'], [root, 'two', 'lasting'])
    const { uid } = site.user

    t.test('ps', async t => {
      t.match(await site.appc('ps'), { status: 0, stdout: '', stderr: '' })
      const before = Date.now()
      const one = await started(site, ['one', 'family'])
      const two = await started(site, ['two'])
      const [first, second, ...others] = await listed(site)
      t.match(first, { schema: 'appc.ps/1', name: 'one', pid: one.pid, program: one.pid, uid, plan: 'one' })
      t.match(first, { state: 'current', changed: [], otherView: false, confined: false })
      t.match(first?.processes, { length: 2 })
      t.match(second, { name: 'two', pid: two.pid, processes: [two.pid] })
      t.same(others, [])
      t.ok(Math.abs(Date.parse(String(first?.started)) - before) < 10_000, String(first?.started))
      const lines = (await site.appc('ps')).stdout.split('\n')
      t.match(lines[0], /^NAME +PID +USER +STARTED +PROCESSES +PLAN +STATE$/)
      t.match(lines[1], new RegExp(`^one +${one.pid} +\\S+ +[-\\d]+ [:\\d]+ +2 +[0-9a-f]{12} +current$`))
      // Another store has containers of its own, whatever they are called.
      const elsewhere = { env: { APPC_HOME: `${site.home}/other` } }
      t.match(await site.command(process.execPath, [site.cli, 'ps'], elsewhere), { status: 0, stdout: '' })
      for (const child of [one, two]) child.kill('SIGKILL')
      await site.appc('stop', 'one')
    })

    t.test('a container in a container, and what has mounts of its own in one', async t => {
      const nested = `exec ${site.launcher} two`
      const inside = await started(site, ['one'])
      const shell = site.start(process.execPath, [site.cli, 'exec', 'one', 'sh', '-c', nested])
      await new Promise(resolve => shell.stdout?.once('data', resolve))
      const names = (await listed(site)).map(({ name, pid }) => [name, pid])
      t.same(names, [
        ['one', inside.pid],
        ['two', shell.pid],
      ])
      shell.stdin?.end()
      await endOf(shell)
      // As browsers do it.
      const apart = [
        'exec',
        'one',
        'unshare',
        '--user',
        '--map-current-user',
        '--mount',
        'sh',
        '-c',
        'echo ready; read x',
      ]
      const sandboxed = site.start(process.execPath, [site.cli, ...apart])
      await new Promise(resolve => sandboxed.stdout?.once('data', resolve))
      const [only, ...others] = await listed(site)
      t.same([only?.name, others], ['one', []])
      inside.stdin?.end()
      sandboxed.stdin?.end()
      await Promise.all([endOf(inside), endOf(sandboxed)])
      t.same(await listed(site), [])
    })

    t.test('exec', async t => {
      const child = await started(site, ['one'])
      const exec = (...args: readonly string[]) => site.appc('exec', ...args)
      const files = '/usr/bin/lasting'
      t.match(await site.command('ls', [files]), { status: 2 }, 'outside')
      t.match(await exec('one', 'ls', files), { status: 0, stdout: `${files}\n`, stderr: '' })
      t.match(await exec('one', '--', 'sh', '-c', 'exit 42'), { status: 42, stdout: '', stderr: '' })
      t.match(await exec(`one:${child.pid}`, 'sh', '-c', 'kill -TERM $$'), { status: null, signal: 'SIGTERM' })
      t.match(await exec('one', 'printf', '%s|', '--json', '--', '-x', 'a b', ''), { stdout: '--json|--|-x|a b||' })
      t.match(await exec('one', 'sh', '-c', 'echo $APPC_CONTAINER; pwd; id -u'), {
        stdout: `one\n${site.home}\n${uid}\n`,
      })
      const gone = { cwd: '/usr/bin', env: { APPC_CONTAINER: 'else', KEPT: 'yes' } }
      const { stdout } = await site.command(
        process.execPath,
        [site.cli, 'exec', 'one', 'sh', '-c', 'ls lasting; echo $KEPT $APPC_CONTAINER'],
        gone,
      )
      t.equal(stdout, 'lasting\nyes one\n', 'the directory as it is inside')
      t.equal((await exec('one', 'sh', '-c', 'cd /proc/self/fd; echo *')).stdout, '0 1 2 3\n', 'no descriptor of appc')
      const capabilities = 'grep -E "^Cap(Inh|Prm|Eff|Amb)" /proc/self/status'
      t.equal(
        (await exec('one', 'sh', '-c', capabilities)).stdout,
        (await site.command('sh', ['-c', capabilities])).stdout,
      )
      t.match(await exec('one', 'nothing-like-it'), {
        status: 127,
        stdout: '',
        stderr: /^appc-run: no such program: nothing-like-it/,
      })
      t.match(await exec('one', '/etc/passwd'), { status: 126, stderr: /Permission denied/ })
      t.match(await exec('two', 'true'), {
        status: 125,
        stdout: '',
        stderr: 'appc: two does not run\n\nhint: appc ps shows what runs\n',
      })
      t.match(JSON.parse((await exec('--json', 'two', 'true')).stderr), { code: 'CONTAINER_NOT_RUNNING' })
      t.match(await exec('one'), { status: 2, stderr: /missing required argument 'command'/ })

      const second = await started(site, ['one'])
      const both = `hint: say which: one:${child.pid}, one:${second.pid}\n`
      t.match(await exec('one', 'true'), { status: 125, stderr: `appc: one runs 2 times\n\n${both}` })
      t.match(await exec(`one:${second.pid}`, 'true'), { status: 0 })
      t.match(await exec('one:1', 'true'), { status: 125, stderr: /one:1 does not run\n\nhint: these do: one:/ })
      for (const one of [child, second]) one.stdin?.end()
      await Promise.all([endOf(child), endOf(second)])
    })

    t.test('stop', async t => {
      const stop = (...args: readonly string[]) => site.appc('stop', ...args)
      const polite = await started(site, ['one', 'polite'])
      t.match(await stop('one'), { status: 0, stdout: `stopped one:${polite.pid}\n`, stderr: '' })
      t.same(await endOf(polite), [0, null])
      t.match(await stop('one'), { status: 1, stdout: '', stderr: /^appc: one does not run/ })

      const family = await started(site, ['one', 'family'])
      const [{ processes } = {}] = await listed(site)
      t.match(await stop('one'), { status: 0, stdout: `stopped one:${family.pid}\n` })
      t.same(await endOf(family), [null, 'SIGTERM'])
      t.same((processes as readonly number[]).map(readProcess), [null, null])

      const stubborn = await started(site, ['one', 'stubborn'])
      const other = await started(site, ['two'])
      const line = { schema: 'appc.stop/1', name: 'one', pid: stubborn.pid, killed: true }
      t.match(JSON.parse((await stop('one', '--timeout', '0.2', '--json')).stdout), line)
      t.same(await endOf(stubborn), [null, 'SIGKILL'])
      t.equal(other.exitCode, null)
      t.match(await stop('two:1'), { status: 1 })

      const stopped = await started(site, ['two', 'polite'])
      stopped.kill('SIGSTOP')
      t.match(await stop(`two:${stopped.pid}`), { status: 0 }, 'one that is stopped goes on to end')
      t.same(await endOf(stopped), [0, null])
      for (const timeout of ['-1', 'x', '1e9', ''])
        t.match(await stop('two', `--timeout=${timeout}`), { status: 2 }, timeout)
      other.stdin?.end()
      await endOf(other)
    })

    t.test('--replace', async t => {
      const replace = (...args: readonly string[]) => started(site, ['--replace', ...args])
      const first = await replace('one')
      const two = await started(site, ['two'])
      const second = await replace('one/lasting', 'polite')
      t.same(await endOf(first), [null, 'SIGTERM'])
      const running = await listed(site)
      t.same(
        running.map(({ pid }) => pid),
        [second.pid, two.pid],
      )
      // What cannot be started ends nothing.
      t.match(await site.run(['--replace', '--root', site.home, 'one']), {
        status: 125,
        stderr: /one cannot run on this host/,
      })
      t.match(await site.run(['--replace', '/bin/true']), { status: 125, stderr: /--replace goes with a container/ })
      t.equal((await listed(site)).length, 2)
      for (const name of ['one', 'two']) await site.appc('stop', name)
      await Promise.all([endOf(second), endOf(two)])
    })

    t.test('remove is refused while it runs', async t => {
      const child = await started(site, ['one'])
      t.match(await site.appc('remove', 'one'), {
        status: 1,
        stderr: new RegExp(`process ${child.pid} runs with its files`),
      })
      child.stdin?.end()
      await endOf(child)
      t.match(await site.appc('remove', 'one'), { status: 0 })
    })

    t.test('nothing is left', async t => {
      t.notMatch(readFileSync('/proc/self/mountinfo', 'utf8'), / - overlay appc/, 'no mount')
      t.equal(spawnSync('pgrep', ['-af', `${site.directory}/`], { encoding: 'utf8' }).stdout, '', 'no process')
    })
  }),
)
