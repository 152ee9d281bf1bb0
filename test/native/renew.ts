import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { refusing } from '../support/refusing.js'
import { identity, makeTree, Sandbox, users } from './fixture.js'

const builtAddon = fileURLToPath(new URL('../../../build/Release/appc.node', import.meta.url))

/** Renews the overlays of a process so many times, as `appc refresh` does, with a dot for each; or shows the addon's error. */
const RENEW = `
const { closeSync, openSync, readFileSync, readlinkSync, writeSync } = require('node:fs')
const [addon, plan, pid, count] = process.argv.slice(1)
const { renewOverlays } = require(addon)
const source = / - (?:overlay|tmpfs) (appc(?::\\S*)?) /.exec(readFileSync('/proc/' + pid + '/mountinfo', 'utf8'))[1]
for (let i = 0; i < Number(count); i++) {
  const kinds = ['user', 'pid', 'mnt'].filter(kind => readlinkSync('/proc/' + pid + '/ns/' + kind) !== readlinkSync('/proc/self/ns/' + kind))
  const namespaces = kinds.map(kind => openSync('/proc/' + pid + '/ns/' + kind))
  try { renewOverlays(readFileSync(plan), source, namespaces, namespaces.at(-1)) }
  catch ({ step, code }) { console.log(step, code); process.exit(1) }
  namespaces.forEach(closeSync)
  writeSync(1, '.')
}`

/**
 * Opens a private file and one of the host's over and over, until its input ends: the one must always be there and the same, the other
 * never older than it was before.
 */
const WATCH = `
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void get(const char *path, char *text) {
  int fd = open(path, O_RDONLY);
  ssize_t length = fd < 0 ? -1 : read(fd, text, 63);
  if (length < 0) { perror(path); exit(1); }
  text[length] = 0;
  close(fd);
}
int main(int argc, char **argv) {
  char text[64];
  long opens = 0, newest = 0;
  puts("ready");
  fflush(stdout);
  for (int ended = 0; !ended;) {
    /* Before the look, so that the last one is later than all that came before the end. */
    struct pollfd input = {0, POLLIN, 0};
    ended = poll(&input, 1, 0) > 0 && read(0, text, 1) == 0;
    get(argv[1], text);
    if (strcmp(text, "layer")) { printf("private: %s\\n", text); return 1; }
    get(argv[2], text);
    if (atol(text) < newest) { printf("%ld after %ld\\n", atol(text), newest); return 1; }
    newest = atol(text);
    opens++;
  }
  printf("%ld %ld\\n", opens, newest);
}`

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const addon = sandbox.path('appc.node')
    copyFileSync(builtAddon, addon)
    const overlay = sandbox.overlay('lib', { shared: '0', replaced: 'host' }, { replaced: 'layer' })
    const shared = `${overlay.target}/shared`
    const watcher = sandbox.path('watch')
    execFileSync('gcc', ['-o', watcher, '-x', 'c', '-'], { input: WATCH })
    const programs = [
      { name: 'sh', path: '/bin/sh' },
      { name: 'watch', path: watcher },
    ]
    const planPath = sandbox.install(sandbox.plan('app', { overlays: [overlay], programs }))
    /** As dpkg does it. */
    const replace = (content: string) => {
      writeFileSync(`${shared}.new`, content)
      renameSync(`${shared}.new`, shared)
    }

    const start = (command: string, ...args: readonly string[]) =>
      spawn(command, args, { ...user, env: sandbox.environment(), stdio: ['pipe', 'pipe', 'inherit'] })
    /** A shell inside, which answers each line that it is told with what that prints. */
    const shell = async (before: readonly string[] = []) => {
      const [command, ...words] = [...before, sandbox.launcher]
      const child = start(
        command as string,
        ...words,
        'app',
        '-c',
        'echo ; echo end; while read -r line; do eval "$line"; echo; echo end; done',
      )
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
      const answer = async () => {
        const told: string[] = []
        for (let line = await lines.next(); !line.done && line.value !== 'end'; line = await lines.next())
          told.push(line.value)
        return told.join('\n').trim()
      }
      await answer()
      const ask = (line: string) => {
        child.stdin.write(`${line}\n`)
        return answer()
      }
      return { child, ask }
    }
    const renewArguments = ({ pid }: ChildProcess, count = 1) => [
      '-e',
      RENEW,
      addon,
      planPath,
      String(pid),
      String(count),
    ]
    const renew = (child: ChildProcess, count = 1) =>
      spawn(process.execPath, renewArguments(child, count), { ...user, stdio: ['ignore', 'pipe', 'inherit'] })
    const renewed = async (child: ChildProcess) => {
      const renewing = renew(child)
      const [output, [status]] = await Promise.all([text(renewing.stdout), once(renewing, 'exit')])
      return status === 0 ? 'renewed' : output.trim()
    }
    const end = async (child: ChildProcess) => {
      child.stdin?.end()
      if (child.exitCode === null) await once(child, 'exit')
    }
    const mountsOf = ({ pid }: ChildProcess) => readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n').length

    t.test('what was looked up before is seen as it is now', async t => {
      replace('1')
      const { child, ask } = await shell()
      t.equal(await ask(`cat ${shared}`), '1')
      replace('2')
      t.equal(await ask(`cat ${shared}`), '1', 'as it was')
      const before = mountsOf(child)
      t.equal(await renewed(child), 'renewed')
      t.equal(await ask(`cat ${shared} ${overlay.target}/replaced ${overlay.target}/.appc-host/replaced`), '2layerhost')
      t.equal(mountsOf(child), before, 'the old overlay is gone')
      const nested = `$APPC_RUN app -c 'cat ${shared} ${overlay.target}/replaced'`
      t.equal(await ask(nested), '2layer', 'a container in it')
      await end(child)
    })

    t.test('without a gap: files are opened all the while', async t => {
      const child = start(sandbox.launcher, 'app/watch', `${overlay.target}/replaced`, shared)
      await once(child.stdout, 'data')
      const before = mountsOf(child)
      const renewing = renew(child, 200)
      let generation = 2
      renewing.stdout.on('data', () => replace(String(++generation)))
      t.same(await once(renewing, 'close'), [0, null])
      // What came after the last overlay was made is seen through one more.
      t.equal(await renewed(child), 'renewed')
      t.equal(mountsOf(child), before)
      child.stdin.end()
      const [told, [status]] = await Promise.all([text(child.stdout), once(child, 'exit')])
      const [opens, newest] = told.trim().split(' ').map(Number)
      t.equal(status, 0, told)
      t.equal(newest, generation)
      t.comment(`${opens} opens and ${generation} host files during 200 renewals`)
    })

    t.test('a host that is not the plan’s is found out before anything is exchanged', async t => {
      replace('9')
      const { child, ask } = await shell()
      t.equal(await ask(`cat ${shared}`), '9')
      sandbox.install(sandbox.plan('app', { overlays: [overlay], programs, guards: [identity(shared, shared)] }))
      replace('10')
      t.equal(await renewed(child), 'checkView errno')
      t.equal(await ask(`cat ${shared}`), '9')
      sandbox.install(sandbox.plan('app', { overlays: [overlay], programs }))
      await end(child)
    })

    t.test('whatever call fails, the program’s files are there', async t => {
      const { child, ask } = await shell()
      const show = `cat ${overlay.target}/replaced ${overlay.target}/.appc-host/replaced; wc -l </proc/self/mountinfo`
      const seen = await ask(show)
      const trace = sandbox.path('trace')
      const traced = (...options: readonly string[]) => {
        const args = ['-f', '--seccomp-bpf', '-qq', '-o', trace, ...options, process.execPath, ...renewArguments(child)]
        const { status } = spawnSync('strace', args, { ...user, stdio: ['ignore', 'ignore', 'ignore'] })
        return { status, calls: readFileSync(trace, 'utf8') }
      }
      writeFileSync(trace, '', { mode: 0o666 })
      execFileSync('chmod', ['666', trace])
      const names = [
        'setns',
        'unshare',
        'mount_setattr',
        'open_tree',
        'fsopen',
        'fsconfig',
        'fsmount',
        'move_mount',
        'umount2',
      ]
      const whole = traced('-e', `trace=${names.join()}`)
      t.equal(whole.status, 0)
      for (const name of names) {
        const count = whole.calls.split('\n').filter(line => line.includes(` ${name}(`)).length
        t.ok(count > 0, `${name} is called`)
        for (let when = 1; when <= count; when++) {
          // Of another, there would be something in the overlay's place.
          const inject = `inject=${name}:error=${when % 2 === 0 ? 'EIO' : 'ENOMEM'}:when=${when}`
          const { status, calls } = traced('-e', `trace=${name}`, '-e', inject)
          t.match([status, calls], [1, '(INJECTED)'], `${name} number ${when}`)
          // What could not be taken away lies beneath what was.
          const expected = name === 'umount2' ? /^layerhost/ : seen
          t.match(await ask(show), expected)
        }
      }
      await end(child)
    })

    t.test('what stands in for an overlay is renewed too', async t => {
      const withoutOverlays = refusing('fsconfig@1=0:ENODEV')
      const { child, ask } = await shell(withoutOverlays)
      const show = `cat ${shared} ${overlay.target}/replaced; stat -f -c %T ${overlay.target}`
      const before = readFileSync(shared, 'utf8')
      replace('upgraded')
      t.equal(await ask(show), `${before}layertmpfs`)
      const [command, ...words] = [...withoutOverlays, process.execPath, ...renewArguments(child)]
      t.equal(spawnSync(command, words, { ...user, encoding: 'utf8' }).stdout, '.')
      t.equal(await ask(show), 'upgradedlayertmpfs')
      await end(child)
    })

    t.test('a kernel that cannot exchange mounts: the old ones stay', async t => {
      const { child, ask } = await shell()
      // One puts the host's directory back, two make the new overlay.
      const inject = ['-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', '-e', 'inject=move_mount:error=EINVAL:when=4']
      const args = [...inject, process.execPath, ...renewArguments(child)]
      const { stdout } = spawnSync('strace', args, { ...user, encoding: 'utf8' })
      t.equal(stdout, 'renewOverlay EINVAL\n')
      t.equal(await ask(`cat ${overlay.target}/replaced`), 'layer')
      await end(child)
    })

    if (user.uid !== 0) return
    t.test('what somebody has mounted over it since is left alone', async t => {
      const { child, ask } = await shell()
      await ask(`mount -t tmpfs none ${overlay.target}; touch ${overlay.target}/theirs`)
      t.match(await renewed(child), /^checkMounts/)
      t.equal(await ask(`ls ${overlay.target}`), 'theirs')
      await end(child)
    })

    t.test('mounts below it are carried over', async t => {
      makeTree(sandbox.directory, { 'mounted/x': 'mounted' })
      const below = sandbox.overlay('carrying', { 'below/hidden': 'host', y: 'host' }, { y: 'layer' })
      const carrying = { ...below, carried: [`${below.target}/below`] }
      const path = sandbox.install(sandbox.plan('carrying', { overlays: [carrying] }))
      const script = `mount --bind ${sandbox.path('mounted')} ${below.target}/below; exec "$APPC_RUN" carrying -c 'echo ready; read x; cat ${below.target}/below/x ${below.target}/y'`
      const child = spawn('unshare', ['-m', 'sh', '-c', script], {
        env: sandbox.environment(),
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      await once(child.stdout, 'data')
      const renewing = spawn(process.execPath, ['-e', RENEW, addon, path, String(child.pid), '2'], {
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      t.same(await once(renewing, 'exit'), [0, null])
      child.stdin.end('\n')
      t.equal(await text(child.stdout), 'mountedlayer')
    })
  })
}

t.test('the table of mounts of this machine is as before', async t => {
  t.notMatch(readFileSync('/proc/self/mountinfo', 'utf8'), / - overlay appc/)
})
