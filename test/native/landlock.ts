import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import t from 'tap'
import { makeTree, Sandbox, users } from './fixture.js'
import { Inside } from './inside.js'

/** Connects to the abstract socket that is named; says with what error. */
const CONNECT = `
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char** argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path + 1, argv[argc - 1]);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  // Node's are named with all of the zeros.
  const int result = connect(fd, (void*)&address, sizeof address);
  puts(result == 0 ? "connected" : strerrorname_np(errno));
}`

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const inside = new Inside(sandbox)
    inside.compile('connect', CONNECT)
    makeTree(sandbox.directory, { 'open/file': 'kept', 'open/sub': null })
    for (const path of ['open', 'open/sub', 'open/file']) chmodSync(sandbox.path(path), 0o777)
    const open = sandbox.path('open')

    t.test('a file that the caller opened for reading is not opened for writing by its descriptor', async t => {
      // The descriptor's mount is the caller's, which is not read-only: this is for Landlock alone.
      const script = 'cat; echo changed >/proc/self/fd/0'
      const launch = (...options: readonly string[]) => {
        writeFileSync(`${open}/file`, 'kept')
        const line = `exec $APPC_RUN ${inside.command(options, `'${script}'`).join(' ')} <${open}/file`
        return { ...sandbox.run(['-c', line], { command: '/bin/sh' }), file: readFileSync(`${open}/file`, 'utf8') }
      }
      t.match(launch('--read-only', '--landlock'), { stdout: 'kept', stderr: /Permission denied/, file: 'kept' })
      t.match(launch('--sandbox'), { stdout: 'kept', file: 'kept' })
      t.match(launch('--read-only'), { stdout: 'kept', file: 'changed\n' })
    })

    t.test('devices can be written to, and what is shown to be written to', async t => {
      const devices = 'echo >/dev/null && ! echo full >/dev/full'
      const script = `${devices} && cd ${open} && echo >new && mkdir made && mv new made && rm -r made`
      for (const options of [
        ['--read-only', '--landlock', '--rw', open],
        ['--read-only', '--landlock', '--private-dev', '--rw', open],
      ]) {
        t.match(inside.run(options, script), { status: 0, stderr: /^sh: 1: echo: echo: I\/O error\n$/ })
      }
      const denied = inside.run(['--read-only', '--landlock'], 'echo >/dev/null && mkdir /dev/shm/appc-test-denied')
      t.match(denied, { status: 1, stderr: /Permission denied|Read-only/ })
    })

    t.test('without --read-only it leaves files as they are', async t => {
      t.match(inside.run(['--landlock'], `echo x >${open}/sub/y && rm ${open}/sub/y`), { status: 0, stderr: '' })
    })

    t.test('abstract sockets of others are out of reach, those of its own are not', async t => {
      const name = `appc-test-${process.pid}-${user.uid}`
      const server = createServer(socket => socket.destroy()).listen(`\0${name}`)
      await once(server, 'listening')
      t.teardown(() => server.close())
      const connect = async (...options: readonly string[]) => {
        // Not run(): it would keep the server from answering.
        const line = inside.command(options, '"$@"', `${inside.directory}/connect`, name)
        const child = spawn(sandbox.launcher, line, { ...user, env: sandbox.environment() })
        const [said] = await once(child.stdout, 'data')
        return String(said).trim()
      }
      t.equal(await connect(), 'connected')
      t.equal(await connect('--landlock'), 'EPERM')
      t.equal(await connect('--unshare-net'), 'ECONNREFUSED')
      t.equal(await connect('--sandbox'), 'ECONNREFUSED')
      t.equal(await connect('--sandbox', '--allow', 'net'), 'EPERM')
    })

    t.test('processes from outside cannot be signalled, those inside can', async t => {
      const other = spawn('sleep', ['1000'], { ...user, stdio: 'ignore' })
      const ended = once(other, 'exit')
      const signal = (...options: readonly string[]) =>
        inside.run(options, 'sleep 1000 & kill $! && kill -s 0 "$1"', [`${other.pid}`])
      t.match(signal(), { status: 0 })
      t.match(signal('--landlock'), { status: 1, stderr: /Operation not permitted/ })
      t.match(signal('--sandbox', '--allow', 'pid'), { status: 1, stderr: /Operation not permitted/ })
      t.match(signal('--sandbox'), { status: 1, stderr: /No such process/ })
      other.kill()
      await ended
    })
  })
}
