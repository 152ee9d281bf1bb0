import {
  chmodSync,
  chownSync,
  copyFileSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { temporaryDirectory } from '../support/fixtures.js'
import { forEachPerson, type Ran, type Site } from '../support/site.js'
import { makeSmallTree } from '../support/small-tree.js'

const root = temporaryDirectory()
makeSmallTree(root)
chmodSync(root, 0o755)
copyFileSync('/bin/dash', join(root, 'usr/bin/sh'))

/** A container for each, with a secret of these bytes and a view; returns where the secrets lie. */
async function setSecrets(site: Site, ...texts: readonly string[]): Promise<readonly string[]> {
  const paths: string[] = []
  for (const [index, text] of texts.entries()) {
    await site.pack(root, `app-${index}`, 'sh')
    const source = join(site.home, 'key')
    rmSync(source, { force: true })
    writeFileSync(source, text, { mode: 0o640 })
    chownSync(source, site.user.uid, site.user.gid)
    await right(site.appc('settings', `app-${index}`, 'set', '/etc/key', source))
    const names = readdirSync(join(site.store, 'secrets')).filter(name => !name.endsWith('.json'))
    paths.push(...names.map(name => join(site.store, 'secrets', name)).filter(path => !paths.includes(path)))
  }
  return paths
}

async function right(running: Promise<Ran>): Promise<void> {
  const { status, stdout, stderr } = await running
  if (status !== 0) throw new Error(`${stdout}${stderr}`)
}

function exchange(one: string, other: string): void {
  renameSync(one, `${one}-away`)
  renameSync(other, one)
  renameSync(`${one}-away`, other)
}

forEachPerson((who, makeSite) =>
  t.test(`a secret that its owner may not read any more, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const [secret = ''] = await setSecrets(site, 'a secret\n')
    chmodSync(secret, 0)
    const [problem = ''] = (await site.appc('verify', '--full', '--json')).stdout.split('\n')
    t.match(JSON.parse(problem), { kind: 'secret', path: secret, neededBy: [{ name: 'app-0', path: '/etc/key' }] })
    t.match(await site.appc('repair', '--dry-run'), { status: 0 })
    t.equal(lstatSync(secret).mode & 0o777, 0)
    t.match(await site.appc('repair'), { status: 0 })
    t.equal(lstatSync(secret).mode & 0o777, 0o640)

    chmodSync(`${secret}.json`, 0)
    t.match(await site.appc('repair'), { status: 0 }, 'nor what it is to be')
    t.match(await site.appc('verify', '--full'), { status: 0 })

    writeFileSync(secret, 'A secret\n')
    chmodSync(secret, 0)
    t.match(await site.appc('repair'), { status: 1 }, 'other bytes of the same length')
  }),
)

forEachPerson((who, makeSite) =>
  t.test(`secrets that were exchanged, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const secrets = await setSecrets(site, 'secret one\n', 'secret two\n', 'secret one\n')
    const [one = '', two = '', three = ''] = secrets
    const isRight = async (what: string) => {
      await right(site.appc('repair'))
      t.same(
        secrets.map(path => readFileSync(path, 'utf8')),
        ['secret one\n', 'secret two\n', 'secret one\n'],
        what,
      )
      t.same(
        secrets.map(path => JSON.parse(readFileSync(`${path}.json`, 'utf8')).id),
        secrets.map(path => basename(path)),
      )
      t.equal(new Set(secrets.map(path => lstatSync(path).ino)).size, 3, 'each has its own file')
      t.match(await site.appc('verify', '--full'), { status: 0 })
    }
    exchange(one, two)
    await isRight('their bytes')
    exchange(`${one}.json`, `${two}.json`)
    await isRight('what they are to be')
    for (const end of ['', '.json']) exchange(`${one}${end}`, `${two}${end}`)
    await isRight('both')
    exchange(one, two)
    exchange(two, three)
    await isRight('three in a circle')
    exchange(`${one}.json`, `${two}.json`)
    exchange(`${two}.json`, `${three}.json`)
    await isRight('what three are to be')
    rmSync(one)
    await isRight('one was lost, and another has the same bytes')
    exchange(one, `${two}.json`)
    await isRight('bytes and what another is to be')
    exchange(`${one}.json`, two)
    exchange(`${one}.json`, `${three}.json`)
    await isRight('all mixed up')
    renameSync(two, one)
    await isRight('the bytes of one that lie in the place of another, whose there are elsewhere')
    rmSync(two)
    renameSync(`${one}.json`, `${two}.json`)
    t.match(await site.appc('repair'), { status: 1 }, 'of its bytes there is no other copy')
    t.match(await site.appc('verify', 'app-0'), { status: 0 })
  }),
)
