import { chmodSync, cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { compile } from '../support/fixtures.js'
import { forEachPerson, type Ran, type Site } from '../support/site.js'
import { LIBRARIES, makeSmallTree } from '../support/small-tree.js'

/** A tree that can be packed, planned for and taken stock of. */
function makeTree(root: string): string {
  mkdirSync(root)
  makeSmallTree(root)
  for (const name of ['app', 'sh']) compile(root, `usr/bin/${name}`, 'int main(void) { return 0; }')
  for (const path of ['usr/local/sbin', 'var/lib/dpkg', 'opt/data/closed'])
    mkdirSync(join(root, path), { recursive: true })
  return root
}

function copyOf(tree: string, root: string): string {
  cpSync(tree, root, { recursive: true, verbatimSymlinks: true })
  return root
}

/** A command that has to do with the tree. */
function ask(site: Site, command: string, root: string): Promise<Ran> {
  const pack = ['pack', '--root', root, '--name', 'other', 'app']
  switch (command) {
    case 'run':
      return site.run(['--root', root, 'app'])
    case 'plan':
      return site.appc('plan', '--root', root, 'app')
    case 'tree':
      return site.appc('tree', '--root', root, '/usr/bin/app')
    case 'include':
      return site.appc(...pack, '--include', '/opt/data')
    case 'pack':
      return site.appc(...pack)
    default:
      return site.appc(command, '--root', root)
  }
}

/** One error that names the path, says why it cannot be read, and what to do. */
function told(t: Test, command: string, path: string, { status, stdout, stderr }: Ran): void {
  t.same([status, stdout], [command === 'run' ? 125 : 1, ''], `${command}, ${path}`)
  t.match(stderr, /^appc(-run)?: \S+ cannot be read: [^\n]+\n\nhint: [^\n]+\n$/)
  t.ok(stderr.includes(path), `${command} names ${path}: ${stderr}`)
}

const CIRCLES: readonly (readonly [string, readonly string[]])[] = [
  ['/etc/os-release', ['plan', 'inventory', 'pack']],
  ['/etc', ['plan', 'inventory', 'pack']],
  ['/usr/lib64', ['plan', 'inventory', 'pack', 'tree', 'run']],
  ['/usr/local/sbin', ['pack']],
  ['/usr/bin/app', ['tree']],
  ['/var/lib/dpkg', ['plan', 'pack', 'run']],
  ['/var/lib/dpkg/status', ['plan', 'pack', 'run']],
  [LIBRARIES, ['plan', 'inventory', 'pack', 'tree', 'run']],
]

const CLOSED: readonly (readonly [string, readonly string[]])[] = [
  ['/opt/data', ['include']],
  ['/opt/data/closed', ['include']],
  ['/etc', ['plan', 'inventory', 'pack', 'run']],
  ['/', ['plan', 'inventory', 'pack']],
]

forEachPerson((who, makeSite) =>
  t.test(`trees that cannot be read, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const whole = makeTree(join(site.directory, 'whole'))
    await site.pack(whole, 'app', 'app')

    for (const [path, commands] of CIRCLES)
      t.test(`${path} is a link to itself`, async t => {
        const root = copyOf(whole, join(site.directory, 'circle'))
        rmSync(join(root, path), { recursive: true, force: true })
        symlinkSync(basename(path), join(root, path))
        for (const command of commands) told(t, command, path, await ask(site, command, root))
        rmSync(root, { recursive: true })
      })

    for (const [path, commands] of site.user.uid === 0 ? [] : CLOSED)
      t.test(`${path} is closed`, async t => {
        const root = copyOf(whole, join(site.directory, 'closed'))
        chmodSync(join(root, path), 0)
        for (const command of commands) told(t, command, path, await ask(site, command, root))
        chmodSync(join(root, path), 0o755)
        rmSync(root, { recursive: true })
      })
  }),
)
