import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
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
        secrets.map(path => JSON.parse(firstLine(`${path}.json`)).id),
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

function firstLine(path: string): string {
  return readFileSync(path, 'utf8').split('\n')[0] ?? ''
}

forEachPerson((who, makeSite) =>
  t.test(`what a secret is to be is believed with its checksum alone, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const [secret = ''] = await setSecrets(site, 'a secret\n')
    t.match(await site.run(['app-0', '-c', 'exit']), { status: 0, stderr: '' })
    const before = readFileSync(`${secret}.json`, 'utf8')
    // A bit of the mode: 0640 becomes 0644.
    writeFileSync(`${secret}.json`, before.replace('"mode":416', '"mode":420'))
    rmSync(secret)
    const [problem = ''] = (await site.appc('verify', '--full', '--json')).stdout.split('\n')
    t.match(JSON.parse(problem), { kind: 'secret', path: secret, because: /checksum/ })
    t.match(await site.appc('repair'), { status: 1 }, 'it cannot be told')
    t.equal(lstatSync(secret, { throwIfNoEntry: false }), undefined)
    writeFileSync(`${secret}.json`, before)
    t.match(await site.appc('repair'), { status: 0 }, 'the view had it still')
    t.equal(readFileSync(secret, 'utf8'), 'a secret\n')
    t.equal(lstatSync(secret).mode & 0o777, 0o640)
  }),
)

forEachPerson((who, makeSite) =>
  t.test(`a secret of which a lost ref told, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const [one = '', two = ''] = await setSecrets(site, 'secret one\n', 'secret two\n')
    t.match(await site.run(['app-0', '-c', 'exit']), { status: 0, stderr: '' })
    const ref = join(site.store, 'refs', 'app-0')
    const [refs, spare] = [ref, join(site.store, 'spare', 'app-0')]
    const text = readFileSync(ref, 'utf8')
    const damaged = async () => {
      const lines = (await site.appc('verify', '--full', '--json')).stdout.trim().split('\n')
      return lines.map(line => JSON.parse(line)).flatMap(({ kind, path }) => (kind === 'secret' ? [path] : []))
    }
    for (const path of [refs, spare]) writeFileSync(path, 'junk')
    t.same(await damaged(), [])
    rmSync(one)
    t.same(await damaged(), [one], 'also where it is there in part')
    t.match(await site.appc('repair'), { status: 1 }, 'the ref is lost')
    t.equal(readFileSync(one, 'utf8'), 'secret one\n', 'the secret is not: its view had it')
    writeFileSync(ref, text)
    t.match(await site.appc('repair'), { status: 0 })
    t.match(await site.appc('verify', '--full'), { status: 0 })

    await right(site.appc('remove', 'app-1'))
    for (const [index, path] of [one, two].entries())
      t.equal(lstatSync(path, { throwIfNoEntry: false }) === undefined, index === 1)
  }),
)

forEachPerson((who, makeSite) =>
  t.test(`a secret of which only the quarantine has the bytes, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const [secret = ''] = await setSecrets(site, 'a secret\n')
    const kept = join(site.store, 'quarantine/damaged-1-01234567/views/x/y/0/key')
    mkdirSync(dirname(kept), { recursive: true })
    renameSync(secret, kept)
    chmodSync(kept, 0o600)
    for (let at = dirname(kept); at !== site.store; at = dirname(at)) chownSync(at, site.user.uid, site.user.gid)
    t.match(await site.appc('repair', '--dry-run'), { status: 0 })
    t.match(await site.appc('repair'), { status: 0, stdout: /taken from the quarantine/ })
    t.equal(readFileSync(secret, 'utf8'), 'a secret\n')
    t.equal(lstatSync(secret).mode & 0o777, 0o640)
    t.not(lstatSync(secret).ino, lstatSync(kept).ino)
    t.match(await site.appc('verify', '--full'), { status: 0 })
  }),
)

forEachPerson((who, makeSite) =>
  t.test(`a damaged secret that nobody needs any more, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const [secret = ''] = await setSecrets(site, 'a secret\n')
    await right(site.appc('settings', 'app-0', 'unset', '/etc/key'))
    // As whoever is killed leaves it, when he has forgotten what needs it.
    const [kept, facts] = [readFileSync(secret), readFileSync(`${secret}.json`)]
    await right(site.appc('gc', '--keep', '1', '--grace', '0'))
    writeFileSync(secret, kept)
    t.match(await site.appc('verify', '--full'), { status: 0 }, 'one of the two files')
    rmSync(secret)
    writeFileSync(secret, 'A secret\n')
    writeFileSync(`${secret}.json`, facts)
    t.match(await site.appc('verify', '--full'), { status: 1 })
    t.match(await site.appc('repair'), { status: 0 })
    t.same(readdirSync(join(site.store, 'secrets')), [])
    t.match(await site.appc('verify', '--full'), { status: 0 })
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
