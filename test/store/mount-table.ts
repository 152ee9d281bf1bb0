import { spawnSync } from 'node:child_process'
import t from 'tap'
import { parseMounts, visibleMounts } from '../../lib/store/mount-table.js'
import { temporaryDirectory } from '../support/fixtures.js'

/** Makes mounts in a namespace of its own; shows the table, and by the kernel which mount the way to each mount point leads to. */
function mounting(lines: readonly string[]) {
  const directory = temporaryDirectory()
  const script = `
    set -e
    mount -t tmpfs none ${directory}
    cd ${directory}
    ${lines.join('\n')}
    cd /
    cat /proc/self/mountinfo
    awk '{ print $5 }' /proc/self/mountinfo | grep '^${directory}' | sort -u | while read -r escaped; do
      point=$(printf %b "$(printf %s "$escaped" | sed 's/\\\\/\\\\0/g')")
      [ ! -e "$point" ] || sed -n 's/^mnt_id:\\t/seen /p' /proc/self/fdinfo/3 3<"$point"
    done`
  const namespace = process.geteuid?.() === 0 ? ['-m'] : ['-m', '--map-root-user']
  const { stdout, stderr, status } = spawnSync('unshare', [...namespace, 'sh', '-c', script], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  const mounts = parseMounts(stdout)
  const seen = new Set([...stdout.matchAll(/^seen (\d+)$/gm)].map(([, id]) => Number(id)))
  return { directory, mounts, seen }
}

const CASES: Readonly<Record<string, readonly string[]>> = {
  'one in another': ['mkdir a', 'mount -t tmpfs none a', 'mkdir a/b', 'mount -t tmpfs none a/b'],
  'one on another': [
    'mkdir a',
    'mount -t tmpfs none a',
    'mount -t tmpfs none a',
    'mkdir a/b',
    'mount -t tmpfs none a/b',
  ],
  'covered with what was in it': ['mkdir -p a/b/c', 'mount -t tmpfs none a/b/c', 'mount -t tmpfs none a'],
  'the same place in two mounts': [
    'mkdir -p a/b',
    'mount -t tmpfs none a/b',
    'mount -t tmpfs none a',
    'mkdir a/b',
    'mount -t tmpfs none a/b',
  ],
  'a file': ['touch f', 'mount --bind f f'],
  'a name with blanks': ['mkdir "a b"', 'mount -t tmpfs "no ne" "a b"'],
  'later ones with smaller ids': [
    'mkdir -p a b/c',
    'mount -t tmpfs none b/c',
    'mount -t tmpfs none a',
    'mkdir a/x',
    'mount --move b/c a/x',
  ],
}

t.test('which mounts can be seen is as the kernel walks', async t => {
  for (const [name, lines] of Object.entries(CASES)) {
    const { directory, mounts, seen } = mounting(lines)
    const made = mounts.filter(({ point }) => point.startsWith(directory))
    t.ok(made.length >= 2, name)
    const visible = new Set(visibleMounts(mounts).map(({ id }) => id))
    t.same(
      made.map(({ id, point }) => [point, visible.has(id)]),
      made.map(({ id, point }) => [point, seen.has(id)]),
      name,
    )
  }
})

t.test('what a line says', async t => {
  const lines = [
    '36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/ro\\040ot rw,errors=continue',
    '37 36 0:41 / /usr/bin ro,relatime - overlay appc:1:2/web/0a/0123456789abcdef/0 ro',
    '38 36 0:42 / /usr/lib ro shared:7 master:1 propagate_from:2 - overlay appc ro',
    '39 36 0:43 / /a ro - overlay appcx ro',
    '40 36 0:44 / /b ro - tmpfs appc ro',
    '41 36 0:45 / /c ro - tmpfs appc-private ro',
    'no line of it',
    '',
  ]
  t.same(
    parseMounts(lines.join('\n')).map(({ id, parent, point, source, readOnly, ours }) => [
      id,
      parent,
      point,
      source,
      readOnly,
      ours,
    ]),
    [
      [36, 35, '/mnt 2', '/dev/ro ot', false, false],
      [37, 36, '/usr/bin', 'appc:1:2/web/0a/0123456789abcdef/0', true, 'overlay'],
      [38, 36, '/usr/lib', 'appc', true, 'overlay'],
      [39, 36, '/a', 'appcx', true, false],
      [40, 36, '/b', 'appc', true, 'skeleton'],
      [41, 36, '/c', 'appc-private', true, false],
    ],
  )
})
