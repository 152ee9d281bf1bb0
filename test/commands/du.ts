import { execFileSync } from 'node:child_process'
import { lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { libraries, program, tree } from '../decide/scenario.js'
import { endHalfDone, halfDone } from '../support/linking.js'
import { Site } from '../support/site.js'

const user = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
const library = (size: number) =>
  program(`char data[${size}] = {1}; int held(void) { return data[1]; }`, {}, [
    '-shared',
    '-fPIC',
    '-Wl,-soname,libheld.so.1',
  ])
const held = library(300_000)
const needing = (answer: number) =>
  program(`int held(void); int main(void) { return held() + ${answer}; }`, { 'libheld.so.1': held })
const root = tree({
  '/usr/bin/one': needing(0),
  '/usr/bin/two': needing(1),
  '/usr/bin/three': program('int main(void) { return 0; }'),
  [`${libraries}/libheld.so.1`]: held,
})
const newer = tree({ '/usr/bin/three': program('int main(void) { return 3; }') })

/** As du(1) says, in bytes. Of several paths it counts each file once. */
function du(...paths: readonly string[]): number {
  const told = execFileSync('du', ['--summarize', '--total', '--block-size=1', ...paths], { encoding: 'utf8' })
  return Number(/^(\d+)\ttotal$/m.exec(told)?.[1])
}

function objectsIn(site: Site): ReadonlyMap<string, string> {
  const objects = join(site.store, 'objects')
  const paths = readdirSync(objects, { recursive: true, encoding: 'utf8' }).map(path => join(objects, path))
  return new Map(paths.filter(path => statSync(path).isFile()).map(path => [readFileSync(path, 'latin1'), path]))
}

const told = async (site: Site, ...names: readonly string[]) => {
  const { status, stdout, stderr } = await site.appc('du', '--json', ...names)
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

t.test('appc du', async t => {
  const site = new Site(user)
  t.teardown(() => site.remove())
  t.match(await site.appc('du'), { status: 0, stdout: /^.*store: [\d.]+ k?B \(objects 0 B|^.*store: / })
  for (const name of ['one', 'two', 'three']) await site.pack(root, name, name)
  await site.appc('pack', '--root', newer, '--name', 'three', '--update', 'three')
  writeFileSync(join(site.home, 'open'), 'o'.repeat(10_000))
  writeFileSync(join(site.home, 'key'), 's'.repeat(20_000), { mode: 0o600 })
  for (const file of ['open', 'key'])
    await site.appc('settings', 'one', 'set', `/etc/one/${file}`, join(site.home, file))
  mkdirSync(join(site.store, 'state/two/below'), { recursive: true })
  writeFileSync(join(site.store, 'state/two/below/written'), 'w'.repeat(50_000))
  t.match(await site.run(['one']), { status: 0 })
  await told(site)

  const { containers, store } = await told(site)
  const [one, three, two] = containers
  t.same(
    containers.map(({ name, generations }: { name: string; generations: number }) => [name, generations]),
    [
      ['one', 3],
      ['three', 2],
      ['two', 1],
    ],
  )
  const objects = objectsIn(site)
  const at = (bytes: Buffer | string) => objects.get(bytes.toString('latin1' as never)) ?? ''
  const { secrets } = store
  t.equal(one.shared - three.shared, du(at(held)), 'the library; all three have the C library')
  t.equal(two.shared, one.shared)
  t.equal(one.settings, du(at('o'.repeat(10_000))) + secrets - lstatSync(join(site.store, 'secrets')).blocks * 512)
  t.equal(two.state, du(join(site.store, 'state/two')))
  t.same([one.state, two.settings], [0, 0])
  t.equal(store.objects, du(join(site.store, 'objects')))
  const files = one.alone + two.alone + three.alone + one.shared + du(at('o'.repeat(10_000)))
  t.equal(files, du(...objects.values()), 'nothing is left out, and nothing counts twice')

  const view = join(site.store, 'views')
  const laid = readdirSync(view, { recursive: true, encoding: 'utf8' })
    .map(path => lstatSync(join(view, path)))
    .filter(stat => stat.isFile() && stat.nlink > 1 && stat.size !== 10_000 && stat.size !== 20_000)
  const sizes = new Map(laid.map(({ ino, size }) => [ino, size]))
  t.equal(
    one.private,
    [...sizes.values()].reduce((sum, size) => sum + size, 0),
    'as it is in the view',
  )
  const manifest = JSON.parse(
    [...objects.keys()].find(text => text.startsWith('{') && text.includes('"name":"one"')) ?? '',
  )
  const all = manifest.files.filter(({ type }: { type: string }) => type === 'file')
  const bytes = all.reduce((sum: number, { size }: { size: number }) => sum + size, 0)
  t.equal(one.private + one.host, bytes, 'and the rest is this host’s')

  const { home, total, ...parts } = store
  t.equal(home, site.store)
  t.equal(total, du(site.store))
  t.equal(
    Object.values<number>(parts).reduce((sum, part) => sum + part, 0),
    total,
  )
  t.equal(parts.plans, du(join(site.store, 'plans')))

  t.match(await told(site, 'two'), { containers: [{ ...two }] })
  t.match(await site.appc('du', 'four'), { status: 1, stdout: '', stderr: /there is no container four/ })
  const { stdout } = await site.appc('du', 'one')
  t.match(
    stdout,
    /^NAME +PRIVATE +FROM HOST +ALONE +SHARED +SETTINGS +STATE +GENERATIONS\none +[\d.]+ kB .* 3\n.*store: [\d.]+ [kM]B \(objects /,
  )

  const collecting = await halfDone(
    { home: site.store },
    'mkdir aside; mv objects/* aside',
    'mv aside/* objects',
    'lock',
  )
  t.teardown(() => endHalfDone(collecting))
  t.match(await told(site, 'two'), { containers: [{ ...two }] }, 'what is collected meanwhile is waited for')

  writeFileSync(join(site.store, 'refs/two'), 'rubbish')
  const damaged = await site.appc('du')
  t.match(damaged, { status: 1, stderr: /refs\/two is damaged/, stdout: /\nthree .*\n/ })
})
