import { chmodSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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
  t.test(`a ref that is lost with its second copy, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    for (const name of ['app', 'other']) await site.pack(root, name, 'sh')
    t.match(await site.run(['app', '-c', 'exit']), { status: 0, stderr: '' })
    const [ref, spare] = ['refs', 'spare'].map(where => join(site.store, where, 'app')) as [string, string]
    const text = readFileSync(ref)
    for (const path of [ref, spare]) rmSync(path)
    const [first = '', ...others] = (await site.appc('verify', '--json')).stdout.trim().split('\n')
    t.match(JSON.parse(first), { kind: 'ref', path: ref, because: /there is a plan/ })
    t.match(
      others.map(line => JSON.parse(line)),
      [{ schema: 'appc.verify/1' }],
    )
    t.match(await site.appc('repair'), { status: 1, stdout: /pack it again/ })
    t.match(await site.run(['app', '-c', 'exit']), { status: 125, stderr: /no container app/ })
    writeFileSync(ref, text, { mode: 0o644 })
    t.match(await site.appc('repair'), { status: 0 })
    t.match(await site.appc('verify', '--full'), { status: 0 })
    t.match(await site.appc('remove', 'app'), { status: 0 })
    t.match(await site.appc('verify', '--full'), { status: 0 }, 'what was removed is not lost')
  }),
)
