import { execFileSync, spawnSync } from 'node:child_process'
import { lstatSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { AppcHome } from '../support/appc-home.js'
import { APPC } from '../support/node.js'

const place = new AppcHome()
t.teardown(place.remove)
const { appc, file, home, pack } = place
const LARGEST = 1 << 26

for (const name of ['from', 'to', 'small']) t.match(pack(name, 'program'), { status: 0 })

/** A file of zeros. */
function long(name: string, size: number): string {
  const path = file(name, '')
  truncateSync(path, size)
  return path
}

t.test('what export writes apply reads, long as it is', async t => {
  t.match(appc(['settings', 'from', 'set', '/etc/long', long('long', LARGEST)]), { status: 0 })
  const out = join(home, 'out.json')
  t.match(appc(['settings', 'from', 'export', out]), { status: 0 })
  t.ok(readFileSync(out).length > LARGEST)
  t.match(appc(['settings', 'to', 'apply', out]), { status: 0, stdout: 'to has generation 2 now\n' })
  t.match(JSON.parse(appc(['settings', 'to', '--json']).stdout), { files: [{ path: '/etc/long', size: LARGEST }] })
})

t.test('what apply would not read export does not write', async t => {
  for (const path of ['/etc/long2', '/etc/long3']) appc(['settings', 'from', 'set', path, join(home, 'long')])
  const out = file('large.json', 'as it was')
  t.match(appc(['settings', 'from', 'export', out]), {
    status: 1,
    stderr: /too large for one document: it would have 268/,
  })
  t.equal(readFileSync(out, 'utf8'), 'as it was')
})

t.test('there is an end to what is read', async t => {
  t.match(appc(['settings', 'to', 'apply', long('huge', 2 ** 40)]), { status: 1, stderr: /it has more than 268435456/ })
  const [command, ...before] = [...APPC, 'settings', 'to', 'apply', '-']
  const endless = spawnSync('sh', ['-c', 'yes | "$@"', 'sh', command, ...before], {
    encoding: 'utf8',
    env: place.environment(),
  })
  t.match(endless, { status: 1, stderr: /it has more than 268435456/ })
  t.match(appc(['settings', 'to', 'apply', home]), { status: 1, stderr: /is not a regular file/ })
})

t.test('standard input that is a directory, or a pipe that somebody has made non-blocking', async t => {
  const [command, ...before] = [...APPC, 'settings', 'small', 'apply', '-']
  const options = { encoding: 'utf8', env: place.environment() } as const
  t.match(spawnSync('sh', ['-c', '"$@" </', 'sh', command, ...before], options), {
    status: 1,
    stderr: /standard input is a directory\n/,
  })
  // Each part is given when appc has read in vain after the last one, or ended: reads are counted, proc_pid_io(5).
  const script = `import fcntl, os, subprocess, sys, termios
ours, theirs = os.pipe()
os.set_blocking(ours, False)
child = subprocess.Popen(sys.argv[2:], stdin=ours)
reads = lambda: int(open(f'/proc/{child.pid}/io').read().split('syscr: ')[1].split()[0])
left = lambda: int.from_bytes(fcntl.ioctl(ours, termios.FIONREAD, bytes(4)), 'little')
for part in sys.argv[1].split(' '):
    os.write(theirs, part.encode())
    while child.poll() is None and left() > 0: pass
    before = reads()
    while child.poll() is None and reads() < before + 3: pass
os.close(theirs)
sys.exit(child.wait())`
  const document = '{"schema":"appc.settings-file/1", "files":[], "environment":{"LATE":"yes"}, "state":[]}'
  const { status, stderr } = spawnSync('python3', ['-c', script, document, command, ...before], options)
  t.match({ status, stderr }, { status: 0, stderr: '' })
  t.match(appc(['settings', 'small']), { stdout: /^LATE=yes$/m })
})

t.test('what stands for bytes that are no text can be a value as well', async t => {
  const run = (bytes: string, option: string) =>
    spawnSync('sh', ['-c', `"$@" "${option}$(printf '${bytes}')"`, 'sh', ...APPC, 'settings', 'small', 'set'], {
      encoding: 'utf8',
      env: place.environment(),
    })
  t.match(run('\\357\\277\\275', '--env=SIGN=a'), { status: 0, stderr: '' })
  t.match(run('\\377', '--env=SIGN=a'), { status: 2, stderr: /sets no variable: it is not UTF-8\n/ })
  const exported = appc(['settings', 'small', 'export', '-']).stdout
  t.match(JSON.parse(exported), { environment: { SIGN: 'a\ufffd' } })
  t.match(appc(['settings', 'small', 'apply', file('sign.json', exported)]), { stdout: /set up so already/ })
  t.match(appc(['settings', 'small', 'unset', '--env', 'SIGN']), { status: 0 })
})

t.test('of one file too', async t => {
  const document = (bytes: string) => {
    const files = [{ path: '/etc/one', mode: 0o644, bytes }]
    const path = join(home, 'one.json')
    writeFileSync(path, JSON.stringify({ schema: 'appc.settings-file/1', files, environment: {}, state: [] }))
    return path
  }
  const zeros = Buffer.alloc(LARGEST + 1).toString('base64')
  t.match(appc(['settings', 'to', 'apply', document(zeros)]), { status: 1, stderr: /more than a setting may/ })
  t.match(appc(['settings', 'to', 'apply', document('no base64')]), { status: 1, stderr: /it is no base64/ })
})

t.test('a file is judged by what was opened, whatever has become of its path', t => {
  const script = 'exec 3<"$0"; rm "$0"; exec "$@" /dev/fd/3'
  const words = [file('removed', 'x\n'), ...APPC, 'settings', 'to', 'set', '/etc/removed']
  const { stderr } = spawnSync('sh', ['-c', script, ...words], { encoding: 'utf8', env: place.environment() })
  t.equal(stderr, '')
  t.match(appc(['settings', 'to']), { stdout: /\/etc\/removed +0644 .* the host has none\n/ })
  t.end()
})

t.test('an export does not wait at a pipe until somebody reads', async t => {
  const pipe = join(home, 'pipe')
  execFileSync('mkfifo', [pipe])
  t.match(appc(['settings', 'small', 'export', pipe]), {
    status: 125,
    stderr: /nobody reads from it\n\nhint: start the reader first/,
  })
  const { stdout: document } = appc(['settings', 'small', 'export', '-'])
  t.match(JSON.parse(document), { schema: 'appc.settings-file/1' })
  const script = `exec 3<>"$1"; shift; "$@" && head -c ${document.length} <&3`
  const words = [...APPC, 'settings', 'small', 'export', pipe]
  const reader = ['-c', script, '-', pipe, ...words]
  const options = { encoding: 'utf8', env: place.environment() } as const
  t.equal(spawnSync('sh', reader, options).stdout, document, 'where somebody does, it is written to')
  t.ok(lstatSync(pipe).isFIFO())
  t.match(appc(['settings', 'small', 'export', join(home, 'none/out')]), {
    status: 125,
    stderr: /directory does not exist/,
  })
})

t.test('what no file or variable can be is refused, and not dropped or written as something else', async t => {
  const file = (path: string, rest = '') => `{"path":${path},"mode":420,"bytes":""${rest}}`
  const document = (files: string, environment = '{}', state = '[]') =>
    `{"schema":"appc.settings-file/1","files":[${files}],"environment":${environment},"state":${state}}`
  const cases: readonly (readonly [string, RegExp])[] = [
    [document(file('"/etc/\\ud800"')), /half a character/],
    [document('', '{}', '["/opt/\\udc00"]'), /half a character/],
    [document('', '{"A":"\\ud800"}'), /environment.A: it holds half a character/],
    [document(file('"/etc/\ufffd"')), /not UTF-8/],
    [document('', '{"__proto__":"x"}'), /environment: no variable can be called/],
    [document('', '{"prototype":"x"}'), /environment: no variable can be called/],
    [document('', '{"A=B":"x"}'), /environment.A=B: a variable is NAME=VALUE/],
    [document('', '{"LD_PRELOAD":"x"}'), /none that the loader obeys/],
    [document(file('"/etc/x"', ',"owner":{"uid":4294967295,"gid":0}')), /files.0.owner.uid/],
    [document(file('"/etc/x"', ',"owner":{"uid":0,"gid":4294967296}')), /files.0.owner.gid/],
  ]
  for (const [content, stderr] of cases) t.match(apply(content), { status: 1, stderr }, content)
  t.match(apply(document('', '{"A":"\\ud83d\\ude00"}')), { status: 0 }, 'a pair is a character')
})

function apply(content: string) {
  return appc(['settings', 'to', 'apply', file('document.json', content)])
}
