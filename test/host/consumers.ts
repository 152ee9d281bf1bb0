import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { consumerPaths, mayBeConsumer } from '../../lib/host/consumers.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import { tree } from '../decide/scenario.js'

const files = {
  '/usr/bin/tool': 'x',
  '/usr/bin/tool.py': 'x',
  '/usr/local/bin/own': 'x',
  '/usr/lib/git-core/git-remote': 'x',
  '/usr/lib/python3.11/lib-dynload/_ssl.cpython-311.so': 'x',
  '/usr/lib/x86_64-linux-gnu/libone.so.1.2': 'x',
  '/usr/lib/x86_64-linux-gnu/libone.so.1': { link: 'libone.so.1.2' },
  '/usr/lib/python3.11/ssl.py': 'x',
  '/usr/lib/debug/.build-id/x.so': 'x',
  '/usr/share/data/x.so': 'x',
}

t.test('programs, plugins and libraries, each once', async t => {
  const fs = rootFileSystem(tree(files, {}))
  const expected = [
    '/usr/bin/tool',
    '/usr/bin/tool.py',
    '/usr/lib/git-core/git-remote',
    '/usr/lib/python3.11/lib-dynload/_ssl.cpython-311.so',
    '/usr/lib/x86_64-linux-gnu/libone.so.1.2',
    '/usr/local/bin/own',
  ]
  t.same([...consumerPaths(fs)].sort(), expected)
  const regular = Object.keys(files).filter(path => fs.lstat(path)?.kind === 'file')
  t.same(regular.filter(mayBeConsumer).sort(), expected, 'told by its path alone')
  const { entries: _, ...plain } = fs
  t.same([...consumerPaths(plain)].sort(), expected, 'a file system that tells kinds one by one')
})

t.test('closed directories and split trees', async t => {
  const root = tree({ '/lib/x86_64-linux-gnu/libtwo.so': 'x', '/usr/lib/open.so': 'x' }, {}, 'split')
  mkdirSync(join(root, 'usr/lib/closed'))
  chmodSync(join(root, 'usr/lib/closed'), 0)
  t.same([...consumerPaths(rootFileSystem(root))].sort(), ['/lib/x86_64-linux-gnu/libtwo.so', '/usr/lib/open.so'])
  chmodSync(join(root, 'usr/lib/closed'), 0o755)
})
