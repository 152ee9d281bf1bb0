import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { users } from '../native/fixture.js'
import { compile } from '../support/fixtures.js'
import { Site } from '../support/site.js'
import { makeSmallTree } from '../support/small-tree.js'

/** What it is told by its settings. */
const PROGRAM = `#include <stdio.h>
#include <stdlib.h>
int main(void) {
  char line[200] = "no configuration\\n";
  FILE *f = fopen("/etc/web/web.conf", "r");
  if (f) fgets(line, sizeof line, f);
  const char *place = getenv("PLACE");
  printf("%s: %s", place ? place : "nowhere", line);
}`

/** A host of its own: what the machine has in /usr, and everything else apart. Commands run chroot'ed into it. */
class ChrootHost {
  constructor(
    readonly root: string,
    private readonly site: Site,
  ) {
    for (const path of ['usr', 'etc', 'var/lib', 'tmp', 'proc', 'sys', 'dev', 'root', 'installation'])
      mkdirSync(join(root, path), { recursive: true })
    for (const path of ['bin', 'lib', 'lib64', 'sbin']) symlinkSync(readlinkSync(`/${path}`), join(root, path))
    for (const name of ['ld.so.cache', 'passwd', 'group']) cpSync(join('/etc', name), join(root, 'etc', name))
    mkdirSync(join(root, dirname(process.execPath)), { recursive: true })
  }

  get store(): string {
    return join(this.root, 'var/lib/appc')
  }

  run(command: readonly string[], input = '') {
    const { root, site } = this
    const mounts = [
      `mount --rbind /usr '${root}/usr'`,
      `mount --bind '${site.installation}' '${root}/installation'`,
      ...['proc', 'sys', 'dev'].map(name => `mount --rbind /${name} '${root}/${name}'`),
      ...(process.execPath.startsWith('/usr/')
        ? []
        : [`mount --bind '${dirname(process.execPath)}' '${root}${dirname(process.execPath)}'`]),
    ]
    const script = `${mounts.join(' && ')} && exec chroot '${root}' "$@"`
    const { status, stdout, stderr } = spawnSync('unshare', ['--mount', 'sh', '-c', script, 'sh', ...command], {
      encoding: 'utf8',
      input,
      env: { PATH: `${dirname(process.execPath)}:/usr/sbin:/usr/bin:/sbin:/bin`, HOME: '/root', LC_ALL: 'C.UTF-8' },
      cwd: '/',
    })
    return { status, stdout, stderr }
  }

  appc(args: readonly string[], input = '') {
    return this.run([process.execPath, '/installation/dist/bin/appc/cli.js', ...args], input)
  }

  launch(name: string) {
    return this.run(['/installation/build/Release/appc-run', name])
  }

  /** Every file of the store that is no derived one, with its bytes' digest and its inode. */
  content(): ReadonlyMap<string, string> {
    const names = ['objects', 'refs', 'secrets'].flatMap(directory =>
      readdirSync(join(this.store, directory), { recursive: true, encoding: 'utf8' }).map(name =>
        join(directory, name),
      ),
    )
    const files = names.filter(name => lstatSync(join(this.store, name)).isFile())
    return new Map(files.map(name => [name, digestOf(join(this.store, name))]))
  }
}

function digestOf(path: string): string {
  return `${lstatSync(path).ino} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`
}

const root = users.find(([, { uid }]) => uid === 0)?.[1]

t.test('one container, three hosts, settings of their own', { skip: !root && 'needs root: chroot(2)' }, async t => {
  if (!root) return
  const site = new Site(root)
  t.teardown(() => site.remove())
  const origin = join(site.directory, 'origin')
  makeSmallTree(origin)
  compile(origin, 'usr/bin/web', PROGRAM)
  const hosts = ['north', 'south', 'west'].map(name => new ChrootHost(join(site.directory, name), site))
  const [north, south, west] = hosts as [ChrootHost, ChrootHost, ChrootHost]
  cpSync(origin, join(north.root, 'root/origin'), { recursive: true, verbatimSymlinks: true })
  t.match(north.appc(['pack', '--root', '/root/origin', '--name', 'web', 'web']), { status: 0 })
  // The container moves once, as it is.
  for (const host of [south, west]) cpSync(north.store, host.store, { recursive: true })
  const packed = hosts.map(host =>
    [...host.content()].map(([name, digest]) => `${name} ${digest.split(' ')[1]}`).sort(),
  )
  t.same(packed[1], packed[0])
  t.same(packed[2], packed[0])
  const container = JSON.parse(north.appc(['list', '--json']).stdout)

  t.test('each host has its own, and all else is the same', async t => {
    for (const host of hosts) {
      const name = host.root.slice(host.root.lastIndexOf('/') + 1)
      writeFileSync(join(host.root, 'root/web.conf'), `port of the ${name}\n`)
      t.match(host.launch('web'), { status: 0, stdout: 'nowhere: no configuration\n' })
      t.match(host.appc(['settings', 'web', 'set', '/etc/web/web.conf', '/root/web.conf', '--env', `PLACE=${name}`]), {
        status: 0,
        stdout: 'web has generation 2 now\n',
      })
      t.match(host.launch('web'), { status: 0, stdout: `${name}: port of the ${name}\n`, stderr: '' })
      t.notOk(readdirSync(join(host.root, 'etc')).includes('web'), 'the host itself has nothing of it')
      t.equal(JSON.parse(host.appc(['list', '--json']).stdout).digest, container.digest)
    }
    const kept = hosts.map(host => new Map([...host.content()].filter(([name]) => !name.startsWith('refs'))))
    const common = [...(kept[0] ?? [])].filter(([name]) => kept.every(files => files.has(name)))
    t.same(
      kept.map(({ size }) => size - common.length),
      [1, 1, 1],
      'one object more than what was packed: the setting',
    )
  })

  t.test('on a change only the settings travel', async t => {
    writeFileSync(join(north.root, 'root/web.conf'), 'port of all\n')
    t.match(north.appc(['settings', 'web', 'set', '/etc/web/web.conf', '/root/web.conf']), { status: 0 })
    const travels = north.appc(['settings', 'web', 'export', '-']).stdout
    t.ok(travels.length < 1000, `${travels.length} bytes travel, of a container of ${container.bytes}`)
    for (const host of [south, west]) {
      const before = host.content()
      t.match(host.appc(['settings', 'web', 'apply', '-'], travels), { status: 0, stdout: /generation 3 now/ })
      const after = host.content()
      const changed = [...after].filter(([name, digest]) => before.get(name) !== digest).map(([name]) => name)
      t.same(changed.map(name => dirname(name).split('/')[0]).sort(), ['objects', 'refs'], 'one object, and the ref')
      t.ok([...before.keys()].every(name => after.has(name)))
      t.match(host.launch('web'), { status: 0, stdout: 'north: port of all\n' })
      t.match(host.appc(['rollback', 'web']), { status: 0 })
      t.match(host.launch('web'), { stdout: new RegExp(`: port of the ${host === south ? 'south' : 'west'}\n`) })
    }
  })

  t.test('a secret stays, and stays closed', async t => {
    const shadow = { mode: 0o600 }
    writeFileSync(join(north.root, 'root/key'), 'the key of the north\n', shadow)
    t.match(north.appc(['settings', 'web', 'set', '/etc/web/key', '/root/key']), { status: 0 })
    t.match(north.appc(['settings', 'web']), { stdout: /\/etc\/web\/key +0600 .* secret\n/ })
    for (const path of north.content().keys()) {
      const { mode } = lstatSync(join(north.store, path))
      const holds = readFileSync(join(north.store, path)).includes('the key of the north')
      if (holds) t.match([path.startsWith('secrets/'), mode & 0o777], [true, 0o600], path)
    }
    t.equal(lstatSync(join(north.store, 'secrets')).mode & 0o777, 0o700)
    const withheld = north.appc(['settings', 'web', 'export', '-']).stdout
    t.notOk(withheld.includes(Buffer.from('the key of the north\n').toString('base64')))
    t.match(south.appc(['settings', 'web', 'apply', '-'], withheld), { status: 1, stderr: /is withheld/ })
    const whole = north.appc(['settings', 'web', 'export', '-', '--include-secrets']).stdout
    t.match(south.appc(['settings', 'web', 'apply', '-'], whole), { status: 0 })
    t.match(
      south.appc(['settings', 'web', 'apply', '-'], withheld),
      { status: 0 },
      'what is withheld stays what it is here',
    )
    t.match(south.appc(['settings', 'web']), { stdout: /\/etc\/web\/key +0600 .* secret\n/ })
  })
})
