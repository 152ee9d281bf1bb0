import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { APPC } from '../support/node.js'
import { refusing } from '../support/refusing.js'
import { objectOf, packFiles, type SmallStore, smallStore } from '../support/small-store.js'

const [command, ...before] = APPC

function appc({ store, tree }: SmallStore, args: readonly string[], wrapper: readonly string[] = []) {
  const [file = '', ...words] = [...wrapper, command, ...before, ...args]
  const env = { ...process.env, APPC_HOME: store.home }
  const { status, stdout, stderr } = spawnSync(file, words, { encoding: 'utf8', env, cwd: join(tree, '..') })
  return { status, stdout, stderr }
}

function packed(): SmallStore {
  const small = smallStore()
  packFiles(small, 'one', { '/share/a': 'A', '/share/b': 'B' })
  return small
}

function damage(path: string): void {
  chmodSync(path, 0o644)
  writeFileSync(path, 'damaged')
  chmodSync(path, 0o444)
}

t.test('nothing to mend', async t => {
  const small = packed()
  t.match(appc(small, ['repair']), { status: 0, stdout: 'nothing to mend\n', stderr: '' })
  const { status, stdout } = appc(small, ['repair', 'one', '--full', '--json'])
  t.equal(status, 0)
  t.match(JSON.parse(stdout), {
    schema: 'appc.repair/1',
    mended: 0,
    left: 0,
    bytesRead: 0,
    dryRun: false,
    complete: true,
  })
})

/** For python3: a FUSE file system that nobody serves. */
const UNSERVED = `
import ctypes, os, sys
fuse = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={fuse},rootmode=40000,user_id=0,group_id=0'
if ctypes.CDLL(None).mount(b'unserved', sys.argv[1].encode(), b'fuse', 0, options.encode()) != 0: raise OSError('mount')`

const skip = process.geteuid?.() !== 0 || !existsSync('/dev/fuse') ? 'only root mounts a file system' : false

t.test('a file system that nobody serves, among the sources and as one', { skip }, t => {
  const small = packed()
  damage(objectOf(small, 'A'))
  mkdirSync(join(small.tree, 'aside/unserved'), { recursive: true })
  renameSync(join(small.tree, 'share/a'), join(small.tree, 'aside/z'))
  const script = 'python3 -c "$0" tree/aside/unserved && exec "$@"'
  const wrapper = ['unshare', '--mount', 'sh', '-c', script, UNSERVED]
  t.match(appc(small, ['repair', '--from', 'tree/aside/unserved'], wrapper), {
    status: 1,
    stdout: '',
    stderr: /^appc: .*unserved\/? cannot be read: what serves its file system is gone/,
  })
  t.match(appc(small, ['repair', '--from', 'tree/aside'], wrapper), {
    status: 0,
    stdout: /^1 mended, 0 left/m,
    stderr: '',
  })
  t.end()
})

t.test('what can be mended is; what is left is told with what helps', async t => {
  const small = packed()
  const [a, b] = [objectOf(small, 'A'), objectOf(small, 'B')]
  damage(a)
  rmSync(b)
  const first = appc(small, ['repair'])
  t.equal(first.status, 1)
  t.match(first.stdout, `bytes: ${a}`)
  t.match(first.stdout, `missing: ${b}: it is not there\n  needed by one as /share/b\n`)
  t.match(first.stdout, /^0 mended, 2 left, 0 B read from sources$/m)
  t.match(first.stdout, /^hint: .*appc repair --from DIR\n {6}packing the container again/m)
  const dry = appc(small, ['repair', '--from', 'tree', '--dry-run'])
  t.match(dry, { status: 0, stdout: /^2 can be mended, 0 left, /m })
  t.match(dry.stdout, `  would be taken from ${small.tree}: ${join(small.tree, 'share/a')}\n`)
  t.notOk(existsSync(b))
  const { status, stdout } = appc(small, ['repair', 'one', '--from', 'none', '--from', 'tree', '--json'])
  t.match({ status, stdout }, { status: 2, stdout: '' }, 'no such tree')
  const last = appc(small, ['repair', '--from', 'store', '--from', 'tree', 'one', '--json'])
  t.equal(last.status, 0)
  t.match(
    last.stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line)),
    [
      { schema: 'appc.mended/1', kind: 'missing', path: b, source: join(small.tree, 'share/b'), evidence: null },
      { schema: 'appc.mended/1', kind: 'bytes', path: a, source: join(small.tree, 'share/a'), evidence: /quarantine/ },
      { schema: 'appc.repair/1', mended: 2, left: 0, bytesRead: 2 },
    ],
  )
  t.same([readFileSync(a, 'utf8'), readFileSync(b, 'utf8')], ['A', 'B'])
})

t.test('what it needed for itself cannot be removed', t => {
  const small = packed()
  rmSync(objectOf(small, 'A'))
  const refused = appc(small, ['repair', '--from', 'tree'], refusing('rmdir:ENOSPC'))
  t.match(refused, {
    status: 125,
    stdout: '',
    stderr: /^appc: the store at .* cannot be written: ENOSPC.*\n\nhint: free/,
  })
  t.match(appc(small, ['repair']), { status: 0, stdout: 'nothing to mend\n' })
  t.end()
})

t.test('a file that cannot be read is replaced, and kept', async t => {
  const small = packed()
  const path = objectOf(small, 'A')
  // Counted for each thread: few bytes are read by one alone.
  const inject = ['-e', 'trace=pread64,read', '-e', 'inject=pread64,read:error=EIO:when=1']
  const strace = ['strace', '-f', '-qq', '-o', '/dev/null', '-P', path, ...inject]
  const { status, stdout } = appc(small, ['repair', '--from', 'tree', '--json'], strace)
  t.equal(status, 0)
  const [mended] = stdout.split('\n').map(line => (line === '' ? null : JSON.parse(line)))
  t.match(mended, { kind: 'unreadable', because: /EIO/, path, evidence: /quarantine/ })
  t.equal(readFileSync(mended.evidence, 'utf8'), 'A')
  t.match(appc(small, ['verify']), { status: 0 })
})

t.test('what is asked for wrongly', async t => {
  const small = packed()
  t.match(appc(small, ['repair', 'two']), { status: 1, stdout: '', stderr: /there is no container two/ })
  t.match(appc(small, ['repair', '--max-rate', 'x']), { status: 2, stdout: '' })
})
