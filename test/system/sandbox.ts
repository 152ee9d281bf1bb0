import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { roots } from '../support/roots.js'
import { makeRepository, serve } from '../support/servers.js'
import { forEachPerson } from '../support/site.js'

/** What a program of every day asks of its surroundings, one line each. */
const SURROUNDINGS = `
import multiprocessing, os, socket, sqlite3, subprocess, tempfile, threading
threads = [threading.Thread(target=lambda: None) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print('threads', len(threads))
with multiprocessing.Pool(2) as pool: print('processes', sum(pool.map(abs, range(9))))
print('child', subprocess.run(['sh', '-c', 'echo $((6 * 7))'], capture_output=True, text=True).stdout.strip())
with tempfile.NamedTemporaryFile() as file: print('temporary', file.name.startswith('/tmp/'))
database = sqlite3.connect(os.path.expanduser('~/database'))
database.execute('create table t (n)')
database.commit()
print('home', 'database' in os.listdir(os.path.expanduser('~')))
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname())
server.accept()[0].send(b'heard')
print('loopback', client.recv(9).decode())
print('name', socket.getaddrinfo('localhost', 80, socket.AF_INET)[0][4][0])
print('terminal', os.openpty()[1] > 2)
`

forEachPerson((who, makeSite) =>
  t.test(`Debian 13’s programs, confined, ${who}`, async t => {
    const root = roots.trixie()
    const site = makeSite()
    t.teardown(() => site.remove())
    const served = join(site.directory, 'served')
    mkdirSync(served)
    writeFileSync(join(served, 'greeting'), 'hello from the server\n')
    makeRepository(join(served, 'repository.git'), 'README', 'cloned\n')
    const servers = await serve(served)
    t.teardown(() => servers.close())
    chmodSync(servers.certificate, 0o644)
    await site.packAll(
      [root, 'curl', 'curl'],
      [root, 'git', 'git'],
      [root, 'python', 'python3.13'],
      [root, 'bash', 'bash'],
    )
    const confined = (options: readonly string[], ...words: readonly string[]) =>
      site.run(['--sandbox', ...options, ...words])

    t.test('what a program of every day asks of its surroundings', async t => {
      const { stdout, stderr } = await confined([], 'python', '-c', SURROUNDINGS)
      t.equal(stderr, '')
      const told = [
        'threads 8',
        'processes 36',
        'child 42',
        'temporary True',
        'home True',
        'loopback heard',
        'name 127.0.0.1',
      ]
      t.same(stdout.trim().split('\n'), [...told, 'terminal True'])
      t.match(await confined([], 'bash', '-c', 'test -e ~/database; echo $?'), { stdout: '1\n' }, 'nothing is kept')
    })

    t.test('the network is there when it is allowed, and no sooner', async t => {
      t.match(await confined([], 'curl', '-sS', `${servers.http}/greeting`), { status: 7, stdout: '' })
      const trusting = ['--ro', servers.certificate]
      const fetched = { status: 0, stdout: 'hello from the server\n', stderr: '' }
      const fetch = ['-sS', '--cacert', servers.certificate, `${servers.https}/greeting`]
      t.match(await confined(['--allow', 'net', ...trusting], 'curl', ...fetch), fetched)
      const clone = [
        '-c',
        `http.sslCAInfo=${servers.certificate}`,
        'clone',
        '--quiet',
        `${servers.https}/repository.git`,
        'clone',
      ]
      t.match(await confined(['--allow', 'net', ...trusting], 'git', ...clone), { status: 0, stderr: '' })
      mkdirSync(join(site.directory, 'work'))
      chmodSync(join(site.directory, 'work'), 0o777)
      const work = join(site.directory, 'work')
      const kept = await site.run(['--sandbox', '--allow', 'net', ...trusting, '--rw', work, 'git', ...clone], {
        cwd: work,
      })
      t.match(kept, { status: 0, stderr: '' })
      t.equal(readFileSync(join(work, 'clone/README'), 'utf8'), 'cloned\n')
    })

    t.test('what the container needs, and what of it is denied', async t => {
      const shared = join(site.home, 'shared')
      await site.command('mkdir', ['-p', shared])
      const packed = await site.appc(
        'pack',
        '--root',
        root,
        '--name',
        'needing',
        'curl',
        '--needs',
        'net',
        'rw=~/shared',
        `ro=${servers.certificate}`,
      )
      t.match(packed, { status: 0 })
      const fetch = ['-sS', '--cacert', servers.certificate, '-o', join(shared, 'got'), `${servers.https}/greeting`]
      t.match(await site.run(['--sandbox', 'needing', ...fetch]), { status: 0, stderr: '' })
      t.equal(readFileSync(join(shared, 'got'), 'utf8'), 'hello from the server\n')
      t.match(await site.run(['--sandbox', '--deny', 'net', 'needing', ...fetch]), { status: 7 })
      t.match(await site.run(['--sandbox', '--deny', 'rw=~/shared', 'needing', ...fetch]), { status: 23 })
      t.match(await site.run(['--sandbox', '--deny', 'rw=~/shared,net', 'needing', ...fetch]), { status: /^(7|23)$/ })
      const info = JSON.parse((await site.run(['--sandbox', '--info', 'needing'])).stdout)
      t.same(info.needs, ['net', 'rw=~/shared', `ro=${servers.certificate}`])
      t.notOk(info.confinement.includes('unshare-net'))
      const parts = JSON.parse((await site.run(['--unshare-net', '--info', 'needing'])).stdout)
      t.same(parts.confinement, ['unshare-net'], 'a part by itself is as it was asked for')

      await site.command('mv', [shared, `${shared}-away`])
      symlinkSync(`${shared}-away`, shared)
      const link = await site.run(['--sandbox', 'needing', '--version'])
      t.match(link, {
        status: 125,
        stdout: '',
        stderr: /cannot show to the program ~\/shared: Too many levels of symbolic links/,
      })
      t.match(await site.run(['--sandbox', '--deny', 'rw=~/shared', 'needing', '--version']), { status: 0 })
      t.match(await site.run(['needing', '--version']), { status: 0 }, 'without a confinement nothing is needed')
    })

    t.test('what no container can need', async t => {
      for (const word of [
        'everything',
        'ro=relative',
        'rw=./x',
        'dbus=',
        'dbus=*',
        'gpu,net',
        '--filter',
        'ro=~other/x',
      ]) {
        const packed = await site.appc('pack', '--root', root, '--name', 'wrong', 'curl', `--needs=${word}`)
        t.match(packed, { status: 2, stdout: '', stderr: /is nothing that a program can need/ }, word)
      }
      const many = Array.from({ length: 65 }, (_, i) => `ro=/${i}`)
      t.match(await site.appc('pack', '--root', root, '--name', 'wrong', 'curl', '--needs', ...many), {
        status: 2,
        stdout: '',
      })
      const most = Array.from({ length: 64 }, () => 'ro=/usr')
      t.match(await site.appc('pack', '--root', root, '--name', 'most', 'curl', '--needs', ...most, '--json'), {
        status: 0,
      })
    })

    t.test('a container in a container: plain ones, and in the parts that leave namespaces to it', async t => {
      const script = `${site.launcher} bash -c 'echo $BASH_VERSION; readlink /proc/self/ns/pid; ls ~'`
      const plain = await site.run(['bash', '-c', script])
      t.match(plain, { status: 0, stdout: /^5\.2\./, stderr: '' })
      for (const option of [
        '--unshare-pid',
        '--unshare-net',
        '--unshare-ipc',
        '--unshare-uts',
        '--new-session',
        '--private-tmp',
      ]) {
        const store = option === '--private-tmp' ? ['--ro', site.directory, '--rw', site.store] : []
        const ran = await site.run([option, ...store, 'bash', '-c', script])
        t.match(ran, { status: 0, stdout: /^5\.2\./, stderr: '' }, option)
      }
      const confined = await site.run(['--sandbox', '--ro', site.directory, 'bash', '-c', script])
      t.match(confined, { status: 125, stdout: '', stderr: /^appc-run: [^\n]+\n\nhint: [^\n]+\n$/ })
    })

    t.test('--root and a confinement', async t => {
      const bullseye = roots.bullseye()
      const version =
        'grep -o "VERSION_ID=.*" /etc/os-release; echo $BASH_VERSION; touch /etc/x; touch ~/x && ls ~; ls /home /run/user'
      const ran = await site.run(['--root', bullseye, '--sandbox', 'bash', '-c', version])
      t.match(ran.stdout, /^VERSION_ID="11"\n5\.2\.[\s\S]*x\n/)
      t.match(ran.stderr, /Read-only file system/)
    })
  }),
)
