import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { readOperatingSystem } from '../../lib/host/os.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import { fresh, put } from '../decide/scenario.js'

const osOf = (root: string) => readOperatingSystem(rootFileSystem(root))

t.test('as the shell reads it, which os-release(5) is made for', async t => {
  const values = [
    'plain',
    '"in double"',
    "'in single'",
    '"say \\"hi\\""',
    '"a \\$5 \\\\ b"',
    "'a\"b'",
    '""',
    "''",
    'a\\ b',
  ]
  for (const value of values) {
    const root = fresh()
    const path = put(root, '/etc/os-release', `# a comment\n\nID=made\nVERSION_ID="9"\nPRETTY_NAME=${value}\n`)
    const shell = execFileSync(
      'sh',
      ['-c', '. "$1"; printf "%s|%s|%s" "$ID" "$VERSION_ID" "$PRETTY_NAME"', 'sh', path],
      { encoding: 'utf8' },
    )
    const { id, version, name } = osOf(root) ?? {}
    t.equal([id, version, name].join('|'), shell, value)
  }
})

t.test('where it lies, and where there is none', async t => {
  t.equal(osOf(fresh()), null)
  const root = fresh()
  put(root, '/usr/lib/os-release', 'ID=vendor\n')
  t.same(osOf(root), { id: 'vendor', version: '', name: 'vendor' })
  put(root, '/etc/os-release', { link: '../usr/lib/os-release' })
  t.match(osOf(root), { id: 'vendor' })
  put(root, '/etc/os-release', 'NAME=x\nVERSION_ID=2\n')
  t.same(osOf(root), { id: 'linux', version: '2', name: 'linux 2' }, 'ID is linux unless it says otherwise')
  const outside = fresh()
  put(outside, '/secret', 'ID=outside\n')
  put(root, '/etc/os-release', { link: join(outside, 'secret') })
  t.not(osOf(root)?.id, 'outside', 'an absolute link stays inside')
})

t.test('a link to itself is not silence about the system', async t => {
  const root = fresh()
  put(root, '/usr/lib/os-release', 'ID=vendor\n')
  put(root, '/etc/os-release', { link: 'os-release' })
  t.throws(() => osOf(root), { code: 'FILE_UNREADABLE', message: '/etc/os-release cannot be read', because: /circle/ })
})
