import { chmodSync, chownSync, copyFileSync, lstatSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { temporaryDirectory } from '../support/fixtures.js'
import { forEachPerson } from '../support/site.js'
import { makeSmallTree } from '../support/small-tree.js'

const root = temporaryDirectory()
makeSmallTree(root)
chmodSync(root, 0o755)
copyFileSync('/bin/dash', join(root, 'usr/bin/sh'))

forEachPerson((who, makeSite) =>
  t.test(`a secret that its owner may not read any more, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    await site.pack(root, 'app', 'sh')
    const source = join(site.home, 'key')
    writeFileSync(source, 'a secret\n', { mode: 0o640 })
    chownSync(source, site.user.uid, site.user.gid)
    t.match(await site.appc('settings', 'app', 'set', '/etc/key', source), { status: 0 })
    const [name = ''] = readdirSync(join(site.store, 'secrets')).filter(name => !name.endsWith('.json'))
    const secret = join(site.store, 'secrets', name)

    chmodSync(secret, 0)
    t.match(await site.appc('verify', '--full'), { status: 1 })
    t.match(await site.appc('repair', '--dry-run'), { status: 0 })
    t.equal(lstatSync(secret).mode & 0o777, 0)
    t.match(await site.appc('repair'), { status: 0 })
    t.equal(lstatSync(secret).mode & 0o777, 0o640)

    writeFileSync(secret, 'A secret\n')
    chmodSync(secret, 0)
    t.match(await site.appc('repair'), { status: 1 }, 'other bytes of the same length')
  }),
)
