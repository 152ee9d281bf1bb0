import { chmodSync, copyFileSync, symlinkSync } from 'node:fs'
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
