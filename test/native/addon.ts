import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  copyFileSync,
  constants as fileConstants,
  fsyncSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { refusing } from '../support/refusing.js'
import { Sandbox, users } from './fixture.js'

const native = addon()
const module = JSON.stringify(fileURLToPath(new URL('../../lib/launch/addon.js', import.meta.url)))

/** Shows what is refused of what can be tried everywhere. */
const PROBE = `
  const attempts = ['userNamespace', 'mountNamespace', 'overlay', 'binds', 'exchange', 'seccomp', 'landlock']
  const found = attempts.map(name => [name, addon().probe(name)])
  const shown = found.map(([name, refusal]) => [name, refusal && refusal.code + ' ' + refusal.step])
  console.log(JSON.stringify(Object.fromEntries(shown)))`

/** Runs lines of JavaScript with `addon()` at hand, in a Node of its own. */
function inNode(lines: string, options = {}) {
  const code = `import * as a from ${module}\nconst { addon } = a\n${lines}`
  return spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    ...options,
  })
}

t.test('execve', async t => {
  t.test('the program finds what a program expects at its start', async t => {
    const script = 'grep -E "^Sig(Blk|Ign)" /proc/self/status; ls /proc/self/fd; echo "$0 $1 $A"'
    const { stdout } = inNode(`
      process.on('SIGTERM', () => {}); process.stdin.on('data', () => {}); process.stdout.write('')
      addon().execve('/bin/sh', ['zero', '-c', ${JSON.stringify(script)}, 'name', 'one'], ['A=b', 'PATH=/usr/bin:/bin'], [0, 1, 2])`)
    t.equal(stdout, 'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0\n1\n2\n3\nname one b\n')
  })

  t.test('standard streams block again', async t => {
    const child = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      `import { addon } from ${module}
      process.stdin.resume(); process.stdout.write('')
      setImmediate(() => addon().execve('/bin/sh', ['sh', '-c', 'grep flags /proc/self/fdinfo/0 /proc/self/fdinfo/1'], ['PATH=/bin:/usr/bin'], [0, 1, 2]))`,
    ])
    const [output] = await once(child.stdout, 'data')
    const flags = [...String(output).matchAll(/flags:\t0?(\d+)/g)].map(([, octal = '']) => Number.parseInt(octal, 8))
    t.equal(flags.length, 2)
    for (const flag of flags) t.equal(flag & 0o4000, 0, 'O_NONBLOCK')
    child.stdin.end()
    await once(child, 'exit')
  })

  t.test('bytes that are not UTF-8 pass through, from this process’s own arguments too', async t => {
    const sandbox = new Sandbox({ uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 })
    t.teardown(() => sandbox.remove())
    const file = sandbox.path('pass.mjs')
    const print = '/usr/bin/printf'
    writeFileSync(
      file,
      `import { addon, originalEnvironment, rawArguments } from ${module}
      addon().execve('${print}', ['printf', '%s|', ...rawArguments().after, ...originalEnvironment()], [], [1])`,
    )
    const bytes = '$(printf "\\\\377\\\\200")'
    const script = `env -i B=${bytes} ${process.execPath} ${file} --x -- ${bytes} -- '' last`.replaceAll('\\\\', '\\')
    const { stdout } = spawnSync('sh', ['-c', script])
    t.same(stdout, Buffer.from('\xff\x80|--||last|B=\xff\x80|', 'latin1'))
  })

  t.test('a failure is an error, and the process goes on as it was', async t => {
    const { stdout, status } = inNode(`
      process.on('SIGUSR2', () => { console.log('handled'); process.exit(3) })
      setTimeout(() => {}, 10000)
      try { addon().execve('/nonexistent', ['x'], [], []) } catch ({ code, errno, step, path }) { console.log([code, errno, step, path].join(' ')) }
      process.kill(process.pid, 'SIGUSR2')`)
    t.equal(stdout, 'ENOENT 2 execute /nonexistent\nhandled\n')
    t.equal(status, 3)
  })
})

t.test('capture', async t => {
  const run = (script: string, { env = [] as string[], milliseconds = 10_000 } = {}) =>
    native.capture('', '/usr', '/bin/sh', ['sh', '-c', script], env, milliseconds)

  t.test('what a program prints and how it ends; of this process it has nothing', async t => {
    process.env.LEAKS = 'yes'
    t.teardown(() => delete process.env.LEAKS)
    const script = 'pwd; echo "$A$LEAKS"; cat; ls /proc/self/fd; grep -E "^Sig(Blk|Ign)" /proc/self/status >&2; exit 3'
    const { status, signal, limit, stdout, stderr } = await run(script, { env: ['A=b', 'PATH=/bin'] })
    t.same([status, signal, limit], [3, null, null])
    t.equal(stdout.toString(), '/usr\nb\n0\n1\n2\n3\n')
    t.equal(stderr.toString(), 'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n')
    t.match(await run('kill -9 $$'), { status: null, signal: 9, limit: null })
  })

  t.test('one that does not end, or prints without end, is killed', async t => {
    t.match(await run('exec /bin/sleep 100', { milliseconds: 50 }), { status: null, signal: 9, limit: 'time' })
    t.match(await run('exec /usr/bin/yes'), { status: null, signal: 9, limit: 'output' })
    const mute = await run('exec >&- 2>&-; exec /bin/sleep 100', { milliseconds: 50 })
    t.match(mute, { status: null, signal: 9, limit: 'time' }, 'one that only closes its streams')
    t.match(await run('exec >&- 2>&-; exit 3'), { status: 3, signal: null, limit: null })
  })

  t.test('many at once', async t => {
    const numbers = Array.from({ length: 50 }, (_, index) => index)
    const answers = await Promise.all(numbers.map(number => run(`echo ${number}; echo -${number} >&2`)))
    t.same(
      answers.map(({ stdout, stderr }) => `${stdout}${stderr}`),
      numbers.map(number => `${number}\n-${number}\n`),
    )
  })

  t.test('what the kernel refuses is an error', async t => {
    const refused = (root: string, directory: string, path: string) =>
      native.capture(root, directory, path, [path], [], 1000)
    await t.rejects(refused('/nonexistent', '/', '/bin/sh'), {
      code: 'ENOENT',
      step: 'changeRoot',
      path: '/nonexistent',
    })
    await t.rejects(refused('', '/nonexistent', '/bin/sh'), { code: 'ENOENT', step: 'openDirectory' })
    await t.rejects(refused('', '/', '/etc/passwd'), { code: 'EACCES', step: 'execute', path: '/etc/passwd' })
    t.throws(() => native.capture('', '/', '/bin/sh\0', [], [], 1), TypeError)
    t.throws(() => native.capture('', '/', '/bin/sh', [], [], '1' as never), TypeError)
  })

  // Who may not change the root does so in a user namespace of his own.
  for (const [name, user] of users) {
    t.test(`inside a root, as ${name}`, async t => {
      const sandbox = new Sandbox(user)
      t.teardown(() => sandbox.remove())
      const loader = '/lib64/ld-linux-x86-64.so.2'
      mkdirSync(sandbox.path('root/below'), { recursive: true })
      copyFileSync(loader, sandbox.path('root/only-here'))
      copyFileSync(loader, sandbox.path('root/below/library'))
      const argv = JSON.stringify(['only-here', '--list', './library'])
      const { stdout, stderr } = inNode(
        `const run = await addon().capture(${JSON.stringify(sandbox.path('root'))}, '/below', '/only-here', ${argv}, [], 10000)
        console.log(run.status, String(run.stdout), String(run.stderr))`,
        { uid: user.uid, gid: user.gid },
      )
      t.equal(stdout, '0 \tstatically linked\n \n', stderr)
    })
  }
})

t.test('listMany, openMany', async t => {
  const sandbox = new Sandbox({ uid: 0, gid: 0 })
  t.teardown(() => sandbox.remove())
  const [full, empty, none, link] = ['full', 'empty', 'none', 'link'].map(name => sandbox.path(name)) as [
    string,
    ...string[],
  ]
  for (const directory of [full, empty]) mkdirSync(directory as string)
  for (const name of ['a', '.b', 'c\n']) writeFileSync(join(full, name), name)
  symlinkSync('nowhere', join(full, 'd'))
  symlinkSync(full, link as string)
  const file = join(full, 'a')
  const row = (path: string) => {
    const { dev, ino, size, mtimeNs, ctimeNs, mode, uid, gid } = lstatSync(path, { bigint: true })
    return [0n, dev, ino, size, mtimeNs, ctimeNs, mode, uid, gid]
  }
  const { ENOENT, ENOTDIR, EINVAL } = constants.errno
  const before = readdirSync('/proc/self/fd').length
  const { counts, names, stats } = native.listMany([full, none, empty, file, link, full] as string[])
  t.same([...counts], [4, -ENOENT, 0, -ENOTDIR, -ENOTDIR, 4])
  t.same(names.split('/').slice(0, 4).sort(), ['.b', 'a', 'c\n', 'd'])
  t.equal(names.split('/').length, 9)
  t.same(
    [...stats],
    names
      .split('/')
      .slice(0, 8)
      .flatMap(name => row(join(full, name))),
  )
  t.match(native.listMany([]), { names: '' })

  for (const fromDisk of [false, true]) {
    const opened = native.openMany([file, full, none, link, join(full, 'd')] as string[], fromDisk)
    const [first = -1, ...others] = opened.descriptors
    t.same(others, [-EINVAL, -ENOENT, -EINVAL, -EINVAL])
    t.same([...opened.stats].slice(0, 9), row(file))
    t.equal(readFileSync(first, 'utf8'), 'a')
    native.closeMany(opened.descriptors)
  }
  t.equal(readdirSync('/proc/self/fd').length, before)
  for (const value of [undefined, '/', [7], [null], ['/\0']]) {
    t.throws(() => native.listMany(value as never), TypeError)
    t.throws(() => native.openMany(value as never, true), TypeError)
  }
  t.throws(() => native.openMany([file], 1 as never), TypeError)
})

t.test('what is read from the disk comes from there', async t => {
  const file = temporaryFile(4 << 20)
  const readFrom = (fromDisk: boolean): number => {
    const before = bytesRead()
    const { descriptors } = native.openMany([file], fromDisk)
    t.equal(readFileSync(descriptors[0] as number).length, 4 << 20)
    native.closeMany(descriptors)
    return bytesRead() - before
  }
  readFrom(false)
  t.equal(readFrom(false), 0, 'it is in memory')
  t.ok(readFrom(true) >= 4 << 20)
})

/** On a disk, and synced: in a file system of memory there is nothing else to read from. */
function temporaryFile(size: number): string {
  const directory = mkdtempSync(fileURLToPath(new URL('../../addon-test-', import.meta.url)))
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'file')
  const fd = openSync(path, 'wx')
  writeSync(fd, Buffer.alloc(size, 'x'))
  fsyncSync(fd)
  closeSync(fd)
  return path
}

/** By this process, from disks: proc(5), /proc/PID/io. */
function bytesRead(): number {
  return Number(/^read_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'latin1'))?.[1])
}

t.test('lstatMany, readMany, closeMany', async t => {
  const sandbox = new Sandbox({ uid: 0, gid: 0 })
  t.teardown(() => sandbox.remove())
  const [file, fifo, link, none] = ['file', 'fifo', 'link', 'none'].map(name => sandbox.path(name)) as [
    string,
    ...string[],
  ]
  writeFileSync(file, 'content')
  spawnSync('mkfifo', [fifo as string])
  symlinkSync('file', link as string)
  const bytes = Buffer.from(`${file}\xff`, 'latin1')
  writeFileSync(bytes, 'bytes')
  const paths = [file, bytes, fifo, link, '/dev/null', '/', none, `${file}/x`, `/${'a/'.repeat(4000)}`] as string[]
  const row = (path: string | Buffer) => {
    const { dev, ino, size, mtimeNs, ctimeNs, mode, uid, gid } = lstatSync(path, { bigint: true })
    return [0n, dev, ino, size, mtimeNs, ctimeNs, mode, uid, gid]
  }
  const failed = (errno: number) => [BigInt(errno), 0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n]
  const { ENOENT, ENOTDIR, ENAMETOOLONG, EINVAL, EBADF, ESPIPE } = constants.errno

  const failures = [ENOENT, ENOTDIR, ENAMETOOLONG]
  t.same([...native.lstatMany(paths)], [...paths.slice(0, 6).flatMap(row), ...failures.flatMap(failed)])
  t.equal(native.lstatMany([]).length, 0)

  const { descriptors, stats } = native.takeOpened(native.openAhead(paths, Buffer.alloc(0), 0))
  const [first = -1, second = -1, ...others] = descriptors
  t.ok(first > 2 && second > first)
  t.same(
    others,
    [EINVAL, EINVAL, EINVAL, EINVAL, ...failures].map(errno => -errno),
  )
  const refused = others.map(negative => failed(-negative))
  t.same([...stats], [...row(file), ...row(bytes), ...refused.flat()])
  t.match(readFileSync(`/proc/self/fdinfo/${first}`, 'utf8'), /^flags:\t02\d*$/m, 'O_CLOEXEC')

  const buffer = Buffer.alloc(12, '.')
  const at = (...positions: number[]) => Float64Array.from(positions)
  const starts = (...positions: number[]) => Uint32Array.from(positions)
  const of = (...numbers: number[]) => Int32Array.from(numbers)
  const counts = native.readMany(
    of(first, second, first, -1, first),
    at(3, 0, 99, 0, 0),
    starts(0, 4, 6, 8, 9, 9),
    buffer,
  )
  t.same([...counts], [4, 2, 0, -EBADF, 0])
  t.equal(buffer.toString(), 'tentby......')
  const tube = openSync(fifo as string, fileConstants.O_RDWR)
  t.same([...native.readMany(of(tube), at(0), starts(0, 1), buffer)], [-ESPIPE])
  closeSync(tube)
  const wrong: [Int32Array, Float64Array, Uint32Array, Uint8Array][] = [
    [of(first), at(), starts(0, 1), buffer],
    [of(first), at(0), starts(0), buffer],
    [of(first), at(0), starts(0, 13), buffer],
    [of(first, first), at(0, 0), starts(0, 2, 1), buffer],
    [of(first), at(-1), starts(0, 1), buffer],
    [of(first), at(Number.NaN), starts(0, 1), buffer],
    [of(first), at(2 ** 53), starts(0, 1), buffer],
    [of(first), at(Number.POSITIVE_INFINITY), starts(0, 1), buffer],
  ]
  for (const args of wrong) t.throws(() => native.readMany(...args), RangeError)
  const right: [Int32Array, Float64Array, Uint32Array, Uint8Array] = [of(first), at(0), starts(0, 1), buffer]
  for (const index of right.keys()) {
    for (const value of [undefined, null, 7, [0], 'x', new DataView(new ArrayBuffer(8)), new Int8Array(8)]) {
      t.throws(
        () => native.readMany(...(right.map((one, at) => (at === index ? value : one)) as typeof right)),
        TypeError,
      )
    }
  }
  t.same([...native.readMany(...right)], [1])

  native.closeMany(descriptors)
  t.same([...native.readMany(...right)], [-EBADF])
  native.closeMany(of(-1, first))
  for (const value of [undefined, [first], new Uint32Array(1)])
    t.throws(() => native.closeMany(value as never), TypeError)
  const open = (paths: readonly string[]) => native.openAhead(paths, Buffer.alloc(0), 0)
  for (const many of [native.lstatMany, open]) {
    for (const value of [undefined, '/', [7], [null], ['/\0'], new Array(2)])
      t.throws(() => many(value as never), TypeError)
    const getter = Object.defineProperty(['/'], 0, {
      get: () => {
        throw new SyntaxError('its own')
      },
    })
    t.throws(() => many(getter), SyntaxError)
  }
})

t.test('openAhead and takeOpened: files with their first bytes', async t => {
  const sandbox = new Sandbox({ uid: 0, gid: 0 })
  t.teardown(() => sandbox.remove())
  const [long, short, empty] = ['long', 'short', 'empty'].map(name => sandbox.path(name)) as [string, string, string]
  writeFileSync(long, 'longer than a head')
  writeFileSync(short, 'ab')
  writeFileSync(empty, '')
  // One of /proc has something to tell, but says that it is empty.
  const paths = [long, '/dev/null', Buffer.from(short), sandbox.path('none'), empty, '/proc/self/status']
  const heads = Buffer.alloc(paths.length * 4 + 1, '.')
  const opening = native.openAhead(paths, heads, 4)
  const { descriptors, stats, counts } = native.takeOpened(opening)
  const { ENOENT, EINVAL } = constants.errno
  t.same([...counts], [4, -EINVAL, 2, -ENOENT, 0, 0])
  t.equal(heads.toString(), 'long....ab...............')
  const errors = Array.from({ length: paths.length }, (_, index) => stats[index * 9])
  t.same(errors, [0n, BigInt(EINVAL), 0n, BigInt(ENOENT), 0n, 0n])
  t.same(
    [...descriptors].map(fd => Math.min(fd, 3)),
    [3, -EINVAL, 3, -ENOENT, 3, 3],
  )
  const [first = -1] = descriptors
  t.match(readFileSync(`/proc/self/fdinfo/${first}`, 'utf8'), /^flags:\t02\d*$/m, 'O_CLOEXEC')
  const again = native.takeOpened(opening)
  t.same([again.descriptors.length, again.stats.length, again.counts.length], [0, 0, 0], 'they are taken once')
  native.closeMany(descriptors)

  t.equal(native.takeOpened(native.openAhead([], Buffer.alloc(0), 0)).descriptors.length, 0)
  t.same([...native.takeOpened(native.openAhead([short], heads, 0)).counts], [0])
  for (const bytes of [-1, 5, 2 ** 31, 2 ** 40, Number.POSITIVE_INFINITY, Number.NaN])
    t.throws(() => native.openAhead(paths, heads, bytes), RangeError, `${bytes}`)
  for (const value of [undefined, '/', [7], ['/\0']])
    t.throws(() => native.openAhead(value as never, heads, 0), TypeError)
  for (const value of [undefined, [], new DataView(heads.buffer), new Int8Array(100)])
    t.throws(() => native.openAhead(paths, value as never, 0), TypeError)
  t.throws(() => native.openAhead(paths, heads, '4' as never), TypeError)
  for (const value of [undefined, {}, [opening], 7]) t.throws(() => native.takeOpened(value as never), TypeError)
})

t.test('files that are opened ahead and never taken are closed', async t => {
  const { stdout } = inNode(
    `
    const { readdirSync, realpathSync } = await import('node:fs')
    const { setFlagsFromString } = await import('node:v8')
    const { runInNewContext } = await import('node:vm')
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc')
    const count = () => readdirSync('/proc/self/fd').length
    addon()
    const before = count()
    let opening = addon().openAhead(Array(20).fill(realpathSync(process.execPath)), Buffer.alloc(20), 1)
    while (count() < before + 20) await new Promise(setImmediate)
    opening = null
    while (count() > before) {
      collect()
      await new Promise(setImmediate)
    }
    console.log('closed')`,
    { timeout: 30_000 },
  )
  t.equal(stdout, 'closed\n')
})

t.test('a hash of bytes alone', async t => {
  for (const value of [undefined, 'x', [1], new Uint32Array(1)])
    t.throws(() => native.xxHash32(value as never), TypeError)
})

t.test('flock', async t => {
  const sandbox = new Sandbox({ uid: 0, gid: 0 })
  t.teardown(() => sandbox.remove())
  const path = sandbox.path('lock')
  const first = openSync(path, 'w')
  const second = openSync(path, 'r')
  t.equal(native.flock(first, 'shared', true), true)
  t.equal(native.flock(second, 'shared', false), true)
  t.equal(native.flock(second, 'exclusive', false), false)
  closeSync(first)
  t.equal(native.flock(second, 'exclusive', false), true)
  // Another process waits until it is given up.
  const waiting = spawn('flock', ['-s', path, 'echo', 'got it'])
  const output = once(waiting.stdout, 'data')
  t.equal(waiting.exitCode, null)
  closeSync(second)
  t.equal(String((await output)[0]), 'got it\n')
  t.throws(() => native.flock(second, 'shared', true), { code: 'EBADF', step: 'lockFile' })
})

t.test('lockByte', async t => {
  const sandbox = new Sandbox({ uid: 0, gid: 0 })
  t.teardown(() => sandbox.remove())
  const path = sandbox.path('lock')
  const first = openSync(path, 'w')
  native.lockByte(first, 7)
  const lines = `
    import { openSync } from 'node:fs'
    const lock = openSync(${JSON.stringify(path)}, 'r+')
    for (const offset of [0, 8, Number.MAX_SAFE_INTEGER]) addon().lockByte(lock, offset)
    console.log('others')
    addon().lockByte(lock, 7)
    console.log('this one')`
  const waiting = spawn(process.execPath, ['--input-type=module', '-e', `import { addon } from ${module}\n${lines}`])
  t.equal(String((await once(waiting.stdout, 'data'))[0]), 'others\n', 'each byte by itself')
  const second = openSync(path, 'r+')
  closeSync(second)
  t.equal(waiting.exitCode, null, 'a lock is not lost when the file is closed by another descriptor')
  const output = once(waiting.stdout, 'data')
  closeSync(first)
  t.equal(String((await output)[0]), 'this one\n')
  const reading = openSync(path, 'r')
  t.throws(() => native.lockByte(reading, 7), { code: 'EBADF', step: 'lockFile' })
  closeSync(reading)
})

t.test('linkOpen', async t => {
  const sandbox = new Sandbox({ uid: 0, gid: 0 })
  t.teardown(() => sandbox.remove())
  const unnamed = openSync(sandbox.directory, fileConstants.O_RDWR | fileConstants.O_DIRECTORY | 0o20000000)
  writeSync(unnamed, 'text')
  native.linkOpen(unnamed, sandbox.path('name'))
  t.equal(readFileSync(sandbox.path('name'), 'utf8'), 'text')
  const error = { code: 'EEXIST', step: 'linkFile', path: sandbox.path('name') }
  t.throws(() => native.linkOpen(unnamed, sandbox.path('name')), error)
  closeSync(unnamed)
  t.throws(() => native.linkOpen(unnamed, sandbox.path('other')), { code: 'ENOENT' })
  t.throws(() => native.linkOpen(0, 7 as never), TypeError)
})

t.test('syncfs', async t => {
  const file = openSync(process.execPath, 'r')
  native.syncfs(file)
  closeSync(file)
  t.throws(() => native.syncfs(file), { code: 'EBADF', step: 'syncFileSystem' })
})

for (const [who, user] of users) {
  t.test(`makeWhiteout and probe as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const path = sandbox.path('whiteout')
    spawnSync('chmod', ['777', sandbox.directory])
    const made = inNode(`addon().makeWhiteout(${JSON.stringify(path)}); ${PROBE}`, user)
    t.equal(made.stderr, '')
    const status = lstatSync(path)
    t.ok(status.isCharacterDevice())
    t.equal(status.rdev, 0)
    t.throws(() => native.makeWhiteout(path), { code: 'EEXIST', path })
    rmSync(path)
    // The judge is unshare(1): what it may, we may.
    const allowed = spawnSync('unshare', ['-U', 'true'], user).status === 0
    const { userNamespace, ...others } = JSON.parse(made.stdout)
    t.equal(userNamespace === null, allowed)
    t.same(others, { mountNamespace: null, overlay: null, binds: null, exchange: null, seccomp: null, landlock: null })
  })
}

t.test('probe tells what is refused, as the launcher would', async t => {
  const node = [process.execPath, '--input-type=module', '-e', `import { addon } from ${module}\n${PROBE}`]
  // The limit is that of a user namespace, which is how it can be changed without touching the machine's.
  const limit = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
  const found = (...before: readonly string[]) => {
    const [command = '', ...words] = [...before, ...node]
    return JSON.parse(spawnSync(command, words, { encoding: 'utf8' }).stdout)
  }
  const fine = {
    userNamespace: null,
    mountNamespace: null,
    overlay: null,
    binds: null,
    exchange: null,
    seccomp: null,
    landlock: null,
  }
  t.same(found('unshare', '-Ur', 'sh', '-c', limit, 'sh'), { ...fine, userNamespace: 'ENOSPC unshareUser' })
  t.same(found(...refusing('fsconfig@1=0:ENODEV')), { ...fine, overlay: 'ENODEV configureOverlay' })
  t.same(found(...refusing('open_tree:EPERM')), { ...fine, binds: 'EPERM cloneTree' })
  // MOVE_MOUNT_BENEATH and both of MOVE_MOUNT_…_EMPTY_PATH.
  t.same(found(...refusing(`move_mount@4=${0x244}:EINVAL`)), { ...fine, exchange: 'EINVAL renewOverlay' })
  const refuses = { seccomp: 'EINVAL filterCalls', landlock: 'ENOSYS restrictFiles' }
  // PR_SET_SECCOMP
  t.same(found(...refusing('prctl@0=22:EINVAL', 'landlock_create_ruleset:ENOSYS')), { ...fine, ...refuses })
  t.equal(
    native.probe('overlay', '/nonexistent', '/usr')?.message,
    'cannot open /nonexistent: No such file or directory',
  )
  t.equal(native.probe('overlay', '/var', '/usr/bin'), null)
})

t.test('cpuIsIntel is what the kernel says', async t => {
  t.equal(native.cpuIsIntel(), /^vendor_id\s*: GenuineIntel$/m.test(readFileSync('/proc/cpuinfo', 'utf8')))
})

t.test('cpuLevel is the loader’s', async t => {
  const { stdout } = spawnSync('/lib64/ld-linux-x86-64.so.2', ['--help'], { encoding: 'utf8' })
  const levels = [...(stdout ?? '').matchAll(/x86-64-v(\d) \(supported/g)].map(([, level]) => Number(level))
  t.equal(native.cpuLevel(), process.arch === 'x64' ? Math.max(1, ...levels) : 0)
})

t.test('mountPoints are the kernel’s', async t => {
  const points = new Set(native.mountPoints())
  t.ok(points.has('/'))
  t.ok(points.has('/proc'))
  const listed = readFileSync('/proc/self/mountinfo', 'utf8')
  for (const point of points) t.ok(listed.includes(` ${point} `), point)
})

t.test('wrong types are refused', async t => {
  const calls: readonly (() => unknown)[] = [
    () => native.execve(1 as never, [], [], []),
    () => native.execve('/bin/true', 'x' as never, [], []),
    () => native.execve('/bin/true', [1 as never], [], []),
    () => native.execve('/bin/true', [], { A: 'b' } as never, []),
    () => native.execve('/bin/\0true', [], [], []),
    () => native.execve('/bin/true', [new Uint16Array(1) as never], [], []),
    () => native.flock(-1, 'shared', true),
    () => native.flock(1.5, 'shared', true),
    () => native.flock(Number.NaN, 'shared', true),
    () => native.flock(0, 'both' as never, true),
    () => native.flock(0, 'shared', undefined as never),
    () => native.lockByte(-1, 0),
    () => native.lockByte(0, -1),
    () => native.lockByte(0, 0.5),
    () => native.lockByte(0, Number.NaN),
    () => native.lockByte(0, 2 ** 53),
    () => native.lockByte(0, '1' as never),
    () => native.syncfs('0' as never),
    () => native.makeWhiteout(null as never),
    () => (native.makeWhiteout as () => void)(),
    () => native.probe('everything' as never),
    () => native.probe('overlay', 1 as never),
  ]
  for (const call of calls) t.throws(call, TypeError, String(call))
})

t.test('enableVerity: the kernel verifies what is read, or the file stays as it was', async t => {
  const path = `${t.testdir({ file: 'bytes' })}/file`
  const fd = openSync(path, 'r')
  t.teardown(() => closeSync(fd))
  const isOn = native.enableVerity(fd)
  t.comment(isOn ? 'this file system has fs-verity' : 'this file system has no fs-verity')
  t.equal(readFileSync(path, 'utf8'), 'bytes')
  if (!isOn) t.doesNotThrow(() => writeFileSync(path, 'others'))
  else {
    t.throws(() => writeFileSync(path, 'others'), { code: 'EPERM' })
    t.equal(native.enableVerity(fd), true, 'once more is no error')
  }
  t.throws(() => native.enableVerity(-1), TypeError)
  const directory = openSync('/', 'r')
  t.teardown(() => closeSync(directory))
  t.equal(native.enableVerity(directory), false)
})

t.test('exchange: two names change places at once', async t => {
  const directory = t.testdir({ one: { a: '' }, other: { b: '' } })
  native.exchange(`${directory}/one`, `${directory}/other`)
  t.ok(lstatSync(`${directory}/one/b`).isFile())
  t.ok(lstatSync(`${directory}/other/a`).isFile())
  t.throws(() => native.exchange(`${directory}/one`, `${directory}/none`), { code: 'ENOENT', step: 'exchangeFiles' })
  t.ok(lstatSync(`${directory}/one/b`).isFile(), 'then nothing is changed')
})
