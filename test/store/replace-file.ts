import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  lchownSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { AppcError } from '../../lib/errors.js'
import { replaceFile } from '../../lib/store/replace-file.js'

t.test('a file is replaced as a whole, with its mode', async t => {
  const home = t.testdir({ out: 'a long text' })
  replaceFile(join(home, 'out'), 'short', 0o600)
  t.equal(readFileSync(join(home, 'out'), 'utf8'), 'short')
  t.equal(lstatSync(join(home, 'out')).mode & 0o777, 0o600)
  const longest = 'x'.repeat(255)
  replaceFile(join(home, longest), '', 0o644)
  t.same(readdirSync(home), ['out', longest])
})

t.test('a pipe or a device is written to, and a link stays one', async t => {
  const home = t.testdir({ file: 'before', link: t.fixture('symlink', 'file') })
  const [pipe, link] = [join(home, 'pipe'), join(home, 'link')]
  execFileSync('mkfifo', [pipe])
  // More than a pipe holds.
  const content = 'x'.repeat(1 << 20)
  const reader = spawn('sh', ['-c', 'exec 3<>"$1"; echo open; head -c 1048576 <&3', '-', pipe], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [first] = await once(reader.stdout, 'data')
  t.equal(String(first), 'open\n')
  const writer = spawn(process.execPath, ['--input-type=module', '-e', WRITER, pipe], { stdio: 'inherit' })
  const [read] = await Promise.all([text(reader.stdout), once(writer, 'close')])
  t.ok(read === content)
  t.ok(lstatSync(pipe).isFIFO())
  replaceFile('/dev/null', content, 0o644)
  t.ok(lstatSync('/dev/null').isCharacterDevice())
  replaceFile(link, 'after', 0o644)
  t.ok(lstatSync(link).isSymbolicLink())
  t.equal(readFileSync(join(home, 'file'), 'utf8'), 'after')
})

t.test('what is no file stays, and whatever fails is said in words', async t => {
  const home = t.testdir({ directory: {}, file: '' })
  execFileSync('mkfifo', [join(home, 'pipe')])
  const cases = {
    [home]: /is a directory/,
    '/': /is a directory/,
    [join(home, 'pipe')]: /^nobody reads from it$/,
    [join(home, 'none/out')]: /its directory does not exist/,
    [join(home, 'file/out')]: /no directory/,
    [join(home, 'x'.repeat(256))]: /name is too long/,
    '/proc/x': /takes no files/,
  }
  for (const [path, because] of Object.entries(cases)) {
    const error = refusalOf(path)
    t.match(error, { code: 'OUTPUT_UNWRITABLE', message: `${path} cannot be written`, because, hint: String }, path)
  }
  t.same(readdirSync(home).sort(), ['directory', 'file', 'pipe'])
  t.ok(lstatSync(join(home, 'pipe')).isFIFO())
})

t.test('where it cannot be written the old file stays, and nothing is left', async t => {
  const cases = {
    'mount -t tmpfs -o size=64k tmpfs "$1" && cd "$1" && echo old > out': 'there is no room for it',
    'mount -t tmpfs tmpfs "$1" && cd "$1" && echo old > out && mount -o remount,ro "$1"':
      'its file system is read-only',
    'cd "$1" && echo old > out && chmod 500 .': 'permission is denied in its directory',
  }
  for (const [prepare, because] of Object.entries(cases)) {
    const home = t.testdir()
    const script = `${prepare} && setpriv --bounding-set=-all --inh-caps=-all "$2" --input-type=module -e "$3"; cat out; ls -A`
    const { stdout, stderr } = spawnSync(
      'unshare',
      ['--map-root-user', '--mount', 'sh', '-c', script, '-', home, process.execPath, FAILING_WRITER],
      { encoding: 'utf8' },
    )
    t.equal(stdout, `${because}\nold\nout\n`, stderr)
    execFileSync('chmod', ['700', home])
  }
  t.match(refusalOf('/dev/full'), { because: 'there is no room for it' })
})

const NOBODY = 65534
const skip = process.geteuid?.() === 0 ? false : 'only root sets what the kernel guards'

/** As nearly all distributions have it; the kernel's own default is 0. */
function guard(t: Test, name: string): void {
  const path = `/proc/sys/fs/${name}`
  const before = readFileSync(path, 'utf8')
  if (before !== '0\n') return
  writeFileSync(path, '1\n')
  t.teardown(() => writeFileSync(path, before))
}

t.test('what others laid into a directory like /tmp gets nothing', { skip }, async t => {
  guard(t, 'protected_fifos')
  const home = t.testdir()
  chmodSync(home, 0o1777)
  const [pipe, own] = [join(home, 'pipe'), join(home, 'own')]
  execFileSync('mkfifo', ['-m', '666', pipe, own])
  chownSync(pipe, NOBODY, NOBODY)
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK)
  t.match(refusalOf(pipe), { code: 'OUTPUT_UNWRITABLE', because: /another user made it/, hint: /of yours/ })
  // The end of a file: nobody has written, and nobody has it open.
  t.equal(readSync(reader, Buffer.alloc(1)), 0)
  closeSync(reader)
  const ownReader = openSync(own, constants.O_RDONLY | constants.O_NONBLOCK)
  replaceFile(own, 'x', 0o600)
  t.equal(readSync(ownReader, Buffer.alloc(2)), 1)
  closeSync(ownReader)
})

t.test('no link of others leads root elsewhere', { skip }, async t => {
  guard(t, 'protected_symlinks')
  const home = t.testdir({ shared: {}, target: 'before' })
  const [shared, target] = [join(home, 'shared'), join(home, 'target')]
  chmodSync(shared, 0o1777)
  const name = join(shared, 'name')
  symlinkSync(target, name)
  lchownSync(name, NOBODY, NOBODY)
  t.match(refusalOf(name), { code: 'OUTPUT_UNWRITABLE', because: /^a link that another user made/ })
  t.equal(readFileSync(target, 'utf8'), 'before')
})

const FAILING_WRITER = `
  import { replaceFile } from '${new URL('../../lib/store/replace-file.js', import.meta.url)}'
  try {
    replaceFile('out', 'x'.repeat(1 << 20), 0o644)
  } catch (error) {
    console.log(error.because)
  }`

/** In a process of its own, as it waits for the reader. */
const WRITER = `
  import { replaceFile } from '${new URL('../../lib/store/replace-file.js', import.meta.url)}'
  replaceFile(process.argv[1], 'x'.repeat(1 << 20), 0o644)`

function refusalOf(path: string): AppcError {
  const refusal = outcome(path)
  if (refusal === null) throw new Error(`${path} was written`)
  return refusal
}

function outcome(path: string): AppcError | null {
  try {
    replaceFile(path, 'x', 0o644)
    return null
  } catch (error) {
    if (error instanceof AppcError) return error
    throw error
  }
}
