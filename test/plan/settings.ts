import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
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
  t.test(`links of the container lead to settings and state, as those of the host do, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const tree = temporaryDirectory()
    makeSmallTree(tree)
    chmodSync(tree, 0o755)
    copyFileSync('/bin/dash', join(tree, 'usr/bin/sh'))
    const versions = join(tree, 'opt/linked/versions')
    mkdirSync(join(versions, '2/etc'), { recursive: true })
    writeFileSync(join(versions, '2/etc/conf'), 'packed\n')
    symlinkSync('2', join(versions, 'newest'))
    symlinkSync('/opt/linked/versions/newest', join(tree, 'opt/linked/current'))
    await site.pack(tree, 'linked', 'sh', '--include', '/opt/linked')
    const ours = join(site.home, 'ours')
    writeFileSync(ours, 'ours\n')
    t.match(await site.appc('settings', 'linked', 'set', '/opt/linked/current/etc/conf', ours), { status: 0 })
    t.match(await site.appc('settings', 'linked', 'set', '/opt/linked/versions/newest/more/conf', ours), { status: 0 })
    t.match(await site.appc('state', 'linked', 'add', '/opt/linked/current/data'), { status: 0 })
    const script = `
      cd /opt/linked/versions/2 && while read line; do echo "$line"; done <etc/conf && read line <more/conf && echo "$line"
      echo written >../../current/data/file && read line <data/file && echo "$line"`
    t.match(await site.run(['linked', '-c', script]), { status: 0, stdout: 'ours\nours\nwritten\n', stderr: '' })
  }),
)
