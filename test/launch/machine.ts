import { execFileSync } from 'node:child_process'
import { release } from 'node:os'
import t from 'tap'
import { hostAt, kernel, loaderEnvironment } from '../../lib/launch/machine.js'
import { readLoader } from '../../lib/loader/loader.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import { libraryPathOf } from '../../lib/loader/search.js'
import { LOADER_VARIABLES } from '../../lib/plan/types.js'
import { tree } from '../decide/scenario.js'

t.test('the loader’s variables as the loader splits them', async t => {
  const root = tree({})
  const contextOf = (environment: NodeJS.ProcessEnv) => hostAt(root, environment).context
  t.match(contextOf({}), { libraryPath: [], preload: [], workingDirectory: process.cwd() })
  t.same(contextOf({ LD_LIBRARY_PATH: '' }).libraryPath, [], 'set to nothing is not set')
  t.same(contextOf({ LD_LIBRARY_PATH: '/a:/b;/c:' }).libraryPath, ['/a', '/b;/c', ''], 'semicolons are glibc’s')
  t.same(contextOf({ LD_PRELOAD: '/a.so:b.so c.so' }).preload, ['/a.so', 'b.so', 'c.so'])
  // The real one, asked in the same way: it says where it looks.
  const env = { LD_DEBUG: 'libs', LD_LIBRARY_PATH: '/nowhere/a:/nowhere/b;/nowhere/c' }
  const trace = execFileSync('sh', ['-c', '/bin/true 2>&1'], { env, encoding: 'utf8' })
  const loader = readLoader(rootFileSystem('/'), '/lib64/ld-linux-x86-64.so.2')
  const directories = libraryPathOf(contextOf(env), loader)
  t.same(directories, ['/nowhere/a', '/nowhere/b', '/nowhere/c'])
  for (const directory of directories) t.match(trace, `${directory}/`)
})

t.test('variables that are set, and no others', async t => {
  t.same(loaderEnvironment({ LD_PRELOAD: 'x', LD_AUDIT: '', HOME: '/', LD_LIBRARY_PATHS: 'y' }), { LD_PRELOAD: 'x' })
  const all = Object.fromEntries(LOADER_VARIABLES.map(name => [name, '1']))
  t.same(Object.keys(loaderEnvironment(all)), [...LOADER_VARIABLES])
})

t.test('a tree without a package database has none', async t => {
  t.equal(hostAt(tree({}), {}).packages, null)
})

t.test('the kernel is asked', async t => {
  t.equal(kernel().release, release())
  t.same(Object.keys(kernel().features).sort(), ['overlay', 'userNamespace'])
  if (process.geteuid?.() === 0) t.equal(kernel().features.overlay, null)
})
