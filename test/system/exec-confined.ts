import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readlinkSync } from 'node:fs'
import t from 'tap'
import { endOf, lastingTree, started } from '../support/lasting.js'
import { forEachPerson } from '../support/site.js'

const root = lastingTree()

/** What the kernel says of a process that is kept in. */
const KEPT = /^(Uid|Gid|NoNewPrivs|Seccomp|CapInh|CapPrm|CapEff|CapBnd|CapAmb):.*$/gm

/** Writes and connects wherever it is told to, and tells how that went. */
const TRY = `
import os, socket, subprocess, sys
def tell(what, action):
  try: action(); print(what, 'done')
  except OSError as error: print(what, error.strerror)
def connect():
  socket.socket(socket.AF_UNIX).connect('\\0' + sys.argv[1])
def become(*command):
  if subprocess.run(command, stderr=subprocess.DEVNULL).returncode != 0: raise OSError(0, 'refused')
for directory in ['/tmp', '/usr/lib', '/etc', os.environ['HOME'], '/dev/shm']: tell(directory, lambda: open(directory + '/tried', 'w'))
tell('connect', connect)
tell('unshare', lambda: become('unshare', '--user', 'true'))
tell('signal', lambda: os.kill(2, 0))
`

forEachPerson((who, makeSite) =>
  t.test(`a command in a confined container, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    await site.pack(root, 'kept', 'lasting')
    t.match(await site.run(['kept']), { status: 0 })
    const exec = (...args: readonly string[]) => site.appc('exec', 'kept', ...args)
    /** Of the program: the child of the one that stays beside it, and of the first of its PID namespace. */
    const programOf = async () => JSON.parse((await site.appc('ps', '--json')).stdout).program as number

    t.test('all that keeps the program in keeps the command in', async t => {
      const child = await started(site, ['--sandbox', '--limit', 'nofile=77', 'kept'])
      const program = await programOf()
      t.not(program, child.pid)
      const status = (text: string) => text.match(KEPT)
      const kept = status(readFileSync(`/proc/${program}/status`, 'utf8'))
      t.match(kept, { length: 9 })
      t.same(status((await exec('cat', '/proc/self/status')).stdout), kept)
      for (const kind of ['user', 'mnt', 'pid', 'ipc', 'uts', 'net', 'cgroup']) {
        const { stdout } = await exec('readlink', `/proc/self/ns/${kind}`)
        t.equal(stdout.trim(), readlinkSync(`/proc/${program}/ns/${kind}`), kind)
      }
      t.equal((await exec('sh', '-c', 'ulimit -n; ulimit -Hn')).stdout, '77\n77\n')
      t.equal((await exec('sh', '-c', 'echo $XDG_RUNTIME_DIR')).stdout, `/run/user/${site.user.uid}\n`)
      t.match(await exec('sh', '-c', 'exit 9'), { status: 9, stderr: '' })
      t.match(await exec('sh', '-c', 'kill -TERM $$'), { status: null, signal: 'SIGTERM' })
      t.match(await exec('nothing-like-it'), { status: 127, stderr: /no such program: nothing-like-it/ })
      child.stdin?.end()
      t.same(await endOf(child), [0, null])
    })

    t.test('what it tries is refused as the program’s tries are', async t => {
      const server = spawn('/usr/bin/python3', ['-c', LISTEN, `appc-test-${process.pid}`], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      await once(server.stdout, 'data')
      const child = await started(site, ['--sandbox', '--allow', 'net', 'kept'])
      const { stdout, stderr } = await exec('/usr/bin/python3', '-c', TRY, `appc-test-${process.pid}`)
      const readOnly = 'Read-only file system'
      t.equal(stderr, '')
      const told = ['/tmp done', `/usr/lib ${readOnly}`, `/etc ${readOnly}`, `${site.home} done`, '/dev/shm done']
      t.same(stdout.trim().split('\n'), [...told, 'connect Operation not permitted', 'unshare refused', 'signal done'])
      for (const one of [child, server]) one.stdin?.end()
      await Promise.all([endOf(child), endOf(server)])
    })

    t.test('parts without anybody beside the program', async t => {
      const child = await started(site, ['--seccomp', '--drop-capabilities', 'kept'])
      t.equal(await programOf(), child.pid)
      const { stdout } = await exec('cat', '/proc/self/status')
      t.same(stdout.match(KEPT), readFileSync(`/proc/${child.pid}/status`, 'utf8').match(KEPT))
      t.match(await exec('unshare', '--user', 'true'), { status: 1, stderr: /Operation not permitted/ })
      child.stdin?.end()
      await endOf(child)
    })

    t.test('a terminal of the container’s', async t => {
      const child = await started(site, ['--sandbox', 'kept'])
      const { uid, gid } = site.user
      // As who logs in: the terminal is made by somebody else.
      const become = uid === process.geteuid?.() ? '' : `setpriv --reuid=${uid} --regid=${gid} --clear-groups`
      const command = `${become} ${process.execPath} ${site.cli} exec kept sh -c 'tty; exit 3'`
      const options = { encoding: 'utf8', env: site.environment, input: '' } as const
      const { status, stdout } = spawnSync('script', ['-q', '-e', '-c', command, '/dev/null'], options)
      t.equal(status, 3)
      t.match(stdout, /\/dev\/pts\/\d+\r\n/)
      child.stdin?.end()
      await endOf(child)
    })

    t.test('when who waits for it is killed, it ends', async t => {
      const child = await started(site, ['--unshare-pid', 'kept'])
      const waiting = site.start(process.execPath, [site.cli, 'exec', 'kept', 'sh', '-c', 'echo ready; exec cat'])
      await once(waiting.stdout as NodeJS.ReadableStream, 'data')
      waiting.kill('SIGKILL')
      // The command holds the other end.
      await once(waiting.stdout as NodeJS.ReadableStream, 'close')
      t.equal((await exec('sh', '-c', 'ps -C cat -o pid=')).stdout, '')
      child.stdin?.end()
      await endOf(child)
    })
  }),
)

const LISTEN = `
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind('\\0' + sys.argv[1])
server.listen()
print('ready', flush=True)
sys.stdin.read()`
