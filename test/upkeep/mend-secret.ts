import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
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
import { forEachPerson, type Ran, Site } from '../support/site.js'
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

const skip = process.geteuid?.() === 0 ? false : 'only root has secrets of others'

t.test('an object with the bytes of a secret stays what it is', { skip }, async t => {
  const site = new Site({ uid: 0, gid: 0 })
  t.teardown(() => site.remove())
  await site.pack(root, 'app', 'sh')
  const source = join(site.home, 'file')
  writeFileSync(source, 'the same\n', { mode: 0o644 })
  await right(site.appc('settings', 'app', 'set', '/etc/open', source))
  chmodSync(source, 0o600)
  chownSync(source, 1500, 1500)
  await right(site.appc('settings', 'app', 'set', '/etc/closed', source))
  t.match(await site.run(['app', '-c', 'exit']), { status: 0, stderr: '' })
  const [name = ''] = readdirSync(join(site.store, 'secrets')).filter(name => !name.endsWith('.json'))
  const secret = join(site.store, 'secrets', name)
  const isRight = async (what: string) => {
    await right(site.appc('repair', '--full'))
    t.match(lstatSync(secret), { uid: 1500, mode: 0o100600 }, what)
    t.equal(readFileSync(secret, 'utf8'), 'the same\n', what)
    t.match(await site.appc('verify', '--full'), { status: 0 }, what)
    t.match(await site.run(['app', '-c', 'exit']), { status: 0, stderr: '' }, what)
  }
  writeFileSync(secret, 'junk')
  chmodSync(secret, 0o600)
  await isRight('a name that it shares with its view alone')
  rmSync(secret)
  writeFileSync(secret, 'junk')
  await isRight('another file in its place')
  const object = site
    .listing()
    .find(path => /^objects\/../.test(path) && readIfFile(join(site.store, path)) === 'the same\n')
  rmSync(secret)
  linkSync(join(site.store, object ?? ''), secret)
  await isRight('the object itself')
  t.match(lstatSync(join(site.store, object ?? '')), { uid: 0, mode: 0o100444 })
  t.equal(lstatSync(join(site.store, 'views')).mode & 0o777, 0o700, 'nobody else finds it by way of views')
})

function readIfFile(path: string): string | null {
  return lstatSync(path).isFile() ? readFileSync(path, 'latin1') : null
}
