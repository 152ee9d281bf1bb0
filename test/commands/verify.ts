import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, lstatSync, readdirSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { APPC } from '../support/node.js'
import { objectOf, packFiles, type SmallStore, smallStore } from '../support/small-store.js'
import { onTerminal } from '../support/terminal.js'

// Hundreds of checks, on a machine that may be busy.
t.setTimeout(180_000)
const [command, ...before] = APPC

interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

function appc({ store }: SmallStore, args: readonly string[], wrapper: readonly string[] = []): Outcome {
  const [file = '', ...words] = [...wrapper, command, ...before, ...args]
  const env = { ...process.env, APPC_HOME: store.home }
  const { status, stdout, stderr } = spawnSync(file, words, { encoding: 'utf8', env })
  return { status, stdout, stderr }
}

function packed(files: Readonly<Record<string, string | Buffer>> = { '/share/a': 'A', '/share/b': 'B' }): SmallStore {
  const small = smallStore()
  packFiles(small, 'one', files)
  return small
}

/** As another file, as a program would write it that replaces files. */
function damage(path: string): void {
  chmodSync(path, 0o644)
  writeFileSync(path, 'a\u001b[2J\nhint: x')
  chmodSync(path, 0o444)
}

t.test('sound: 0, and what was looked at', async t => {
  const small = packed()
  t.match(appc(small, ['verify']), { status: 0, stdout: /^sound: 4 objects, .* \(4 read, .*\)\n$/, stderr: '' })
  t.match(appc(small, ['verify', 'one', '--full']), {
    status: 0,
    stdout: /^sound: 4 objects, .* \(4 read from the disk, /,
  })
  const { status, stdout } = appc(small, ['verify', '--json'])
  t.equal(status, 0)
  t.match(JSON.parse(stdout), {
    schema: 'appc.verify/1',
    name: null,
    full: false,
    problems: 0,
    complete: true,
    objects: 4,
  })
})

t.test('corrupt: 1, and what it is needed for', async t => {
  const small = packed()
  const path = objectOf(small, 'A')
  damage(path)
  const { status, stdout, stderr } = appc(small, ['verify'])
  t.match({ status, stderr }, { status: 1, stderr: '' })
  t.ok(stdout.startsWith(`bytes: ${path}: `))
  t.match(stdout, /^ {2}needed by one as \/share\/a$/m)
  t.match(stdout, /^1 wrong: 4 objects/m)
  t.match(stdout, /^hint: appc repair/m)
  const lines = appc(small, ['verify', '--json'])
    .stdout.trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  t.match(lines, [
    {
      schema: 'appc.problem/1',
      kind: 'bytes',
      path,
      neededBy: [{ name: 'one', path: '/share/a' }],
      actualDigest: /^[0-9a-f]{64}$/,
    },
    { schema: 'appc.verify/1', problems: 1 },
  ])
})

t.test('what is asked for wrongly', async t => {
  const small = packed()
  for (const rate of ['', '0', '-1', '1x', 'k', '1e3', '0.0001'])
    t.match(appc(small, ['verify', `--max-rate=${rate}`]), { status: 2, stdout: '', stderr: /is no rate/ }, rate)
  t.match(appc(small, ['verify', '--restart']), { status: 2, stdout: '', stderr: /--full/ })
  t.match(appc(small, ['verify', 'two']), { status: 1, stdout: '', stderr: /there is no container two/ })
  t.match(appc(small, ['verify', '--max-rate', '0.5G']), { status: 0 })
})

t.test('a disk that fails: the object is corrupt, and all others are checked', async t => {
  const small = packed({ '/share/a': 'A', '/share/b': 'B', '/share/c': 'C' })
  const path = objectOf(small, 'B')
  damage(objectOf(small, 'C'))
  const inject = ['-e', 'trace=pread64,read', '-e', 'inject=pread64,read:error=EIO']
  const strace = ['strace', '-f', '-qq', '-o', '/dev/null', '-P', path, ...inject]
  const { status, stdout } = appc(small, ['verify', '--full', '--json'], strace)
  t.equal(status, 1)
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  t.same(
    new Map(lines.map(({ path, kind, because }) => [path, kind === 'unreadable' ? because : kind])),
    new Map([
      [path, 'it cannot be read (EIO)'],
      [objectOf(small, 'C'), 'bytes'],
      [undefined, undefined],
    ]),
  )
  t.match(lines.at(-1), { objects: 5, hashed: { objects: 5 } })
  t.match(appc(small, ['verify', '--json']).stdout.split('\n').length, 3, 'it is sound without that')
})

t.test('what may not be read is corrupt', { skip: process.geteuid?.() !== 0 && 'as root alone' }, async t => {
  const small = packed()
  const path = objectOf(small, 'A')
  chmodSync(path, 0)
  chmodSync(join(small.store.home, '..'), 0o755)
  for (const name of ['.', ...readdirSync(small.store.home, { recursive: true, encoding: 'utf8' })]) {
    const file = join(small.store.home, name)
    chownSync(file, 65534, 65534)
    if (lstatSync(file).isDirectory() && !/^objects\/../.test(name)) chmodSync(file, 0o700)
  }
  const user = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--']
  const { status, stdout } = appc(small, ['verify', '--json'], user)
  t.equal(status, 1)
  const problems = stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  t.same(
    problems.filter(({ object }) => object !== undefined).map(({ kind, because }) => [kind, because]),
    [
      ['unreadable', 'it cannot be read (EACCES)'],
      ['mode', 'its mode is 0000 and should be 0444'],
    ],
  )
})

/** Reads them in six seconds or so. */
const SLOW = ['verify', '--full', '--json', '--max-rate', '1M']
const many = Object.fromEntries(
  Array.from({ length: 120 }, (_, index) => [`/share/${index}`, Buffer.alloc(50_000, `${index},`)]),
)

/** Starts it, and ends it by this signal when it has saved what it knows for the second time: once it has begun, and then after two seconds. */
async function ended(small: SmallStore, signal: NodeJS.Signals): Promise<Outcome> {
  const env = { ...process.env, APPC_HOME: small.store.home }
  const saved = new Promise<void>(resolve => {
    const watcher = watch(join(small.store.home, 'cache'), (_, name) => {
      if (name !== 'identities') return
      watcher.close()
      resolve()
    })
  })
  const child = spawn(command, [...before, ...SLOW], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) child[stream].on('data', text => (output[stream] += text))
  const closed = once(child, 'close')
  await saved
  child.kill(signal)
  const [status] = await closed
  return { status, ...output }
}

t.test('interrupted: 130, and the next one goes on', async t => {
  const small = packed(many)
  appc(small, ['verify'])
  const { status, stdout, stderr } = await ended(small, 'SIGINT')
  t.equal(status, 130)
  t.match(JSON.parse(stdout), { complete: false, problems: 0 })
  t.match(stderr, /^appc: interrupted; the next appc verify --full goes on\n$/)
  const rest = JSON.parse(appc(small, ['verify', '--full', '--json']).stdout)
  t.ok(rest.resumed !== null && rest.complete)
  t.ok(rest.hashed.objects < rest.objects, `${rest.hashed.objects} of ${rest.objects}`)
})

t.test('killed: little is lost', async t => {
  const small = packed(many)
  appc(small, ['verify'])
  t.match(await ended(small, 'SIGKILL'), { status: null, stdout: '' })
  const rest = JSON.parse(appc(small, ['verify', '--full', '--json']).stdout)
  t.ok(rest.resumed !== null && rest.complete)
  t.ok(rest.hashed.objects < rest.objects, `${rest.hashed.objects} of ${rest.objects}`)
})

t.test('progress is for a terminal alone', async t => {
  const small = packed(many)
  t.match(appc(small, ['verify', '--full']), { stderr: '' })
  const self = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
  const env = { APPC_HOME: small.store.home }
  const { shown, status } = await onTerminal(
    self,
    env,
    [],
    [command, ...before, 'verify', '--full', '--max-rate', '20M'],
  )
  t.equal(status, 0)
  t.match(shown, /%: [0-9]+ of 122 objects/)
  t.match(shown, /sound: 122 objects/)
})
