import { chmodSync, copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { temporaryDirectory } from '../support/fixtures.js'
import { forEachPerson } from '../support/site.js'
import { LIBRARIES, makeSmallTree } from '../support/small-tree.js'

const root = temporaryDirectory()
makeSmallTree(root)
chmodSync(root, 0o755)
copyFileSync('/bin/dash', join(root, 'usr/bin/sh'))

forEachPerson((who, makeSite) =>
  t.test(`state does not lie over what programs load when they start, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    await site.pack(root, 'app', 'sh')
    // By a link on this machine, of which the manifest knows nothing.
    const directory = join(site.home, 'libraries')
    symlinkSync(LIBRARIES, directory)
    t.match(await site.appc('state', 'app', 'add', directory), { status: 0 })
    t.match(await site.run(['app', '-c', 'exit']), {
      status: 125,
      stdout: '',
      stderr: /the state \S+ has no place on this host: programs of the container load what lies there when they start/,
    })
  }),
)

forEachPerson((who, makeSite) =>
  t.test(`where links of this host lead settings and state to is judged as their own paths are, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const host = temporaryDirectory()
    makeSmallTree(host)
    chmodSync(host, 0o755)
    for (const directory of ['opt/real', 'proc', 'etc']) mkdirSync(join(host, directory), { recursive: true })
    writeFileSync(join(host, 'opt/file'), '')
    for (const [link, target] of Object.entries({
      etc: '/etc',
      proc: '/proc',
      one: 'real',
      two: '/opt/real',
      circle: 'circle',
    }))
      symlinkSync(target, join(host, 'opt', link))
    const file = join(site.home, 'file')
    writeFileSync(file, 'file\n')
    const cases = {
      loader: [[['settings', 'set', '/opt/etc/ld.so.cache']], /leads to \/etc\/ld\.so\.cache, and the loader obeys it/],
      kernel: [[['state', 'add', '/opt/proc/sys']], /leads to \/proc\/sys, and it is the kernel’s/],
      same: [
        [
          ['settings', 'set', '/opt/one/a'],
          ['settings', 'set', '/opt/two/a'],
        ],
        /the setting \/opt\/one\/a is the same file here/,
      ],
      below: [
        [
          ['settings', 'set', '/opt/one/a'],
          ['settings', 'set', '/opt/two/a/b'],
        ],
        /\/opt\/real\/a is no directory in the container/,
      ],
      nested: [
        [
          ['state', 'add', '/opt/one/s'],
          ['state', 'add', '/opt/two/s/t'],
        ],
        /of it and \/opt\/one\/s one lies in the other here/,
      ],
      lost: [
        [
          ['state', 'add', '/opt/one/s'],
          ['settings', 'set', '/opt/two/s/a'],
        ],
        /the setting \/opt\/two\/s\/a lies in it here/,
      ],
      circle: [[['state', 'add', '/opt/circle/s']], /\/opt\/circle is no directory here/],
      file: [[['state', 'add', '/opt/file/s']], /\/opt\/file is no directory here/],
    } as const
    for (const [name, [changes, because]] of Object.entries(cases)) {
      await site.pack(root, name, 'sh')
      for (const [command, verb, path] of changes)
        t.match(await site.appc(command, name, verb, path, ...(verb === 'set' ? [file] : [])), { status: 0 }, path)
      const ran = await site.run(['--root', host, name, '-c', 'exit'])
      t.match(ran, { status: 125, stdout: '', stderr: because }, name)
    }
  }),
)

forEachPerson((who, makeSite) =>
  t.test(`once a link of this host leads elsewhere, so do settings and state behind it, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const host = temporaryDirectory()
    makeSmallTree(host)
    chmodSync(host, 0o755)
    for (const directory of ['opt/site/one', 'opt/site/two']) mkdirSync(join(host, directory), { recursive: true })
    const link = join(host, 'opt/site/link')
    symlinkSync('one', link)
    const file = join(site.home, 'file')
    writeFileSync(file, 'set\n')
    await site.pack(root, 'app', 'sh')
    t.match(await site.appc('settings', 'app', 'set', '/opt/site/link/file', file), { status: 0 })
    t.match(await site.appc('state', 'app', 'add', '/opt/site/link/state'), { status: 0 })
    const read = 'read line <file; read kept <state/kept; echo $line $kept'
    t.match(await site.run(['--root', host, 'app', '-c', `cd /opt/site/one; echo kept >state/kept; ${read}`]), {
      status: 0,
      stdout: 'set kept\n',
    })
    rmSync(link)
    symlinkSync('two', link)
    t.match(await site.run(['--root', host, 'app', '-c', `cd /opt/site/two; ${read}`]), {
      status: 0,
      stdout: 'set kept\n',
    })
  }),
)
