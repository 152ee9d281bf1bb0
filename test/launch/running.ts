import { mkdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { parseSignature } from '../../lib/launch/signature.js'
import { FORGE } from '../support/forge.js'
import { endOf, lastingTree, started } from '../support/lasting.js'
import { forEachPerson, Site } from '../support/site.js'

t.test('signatures', async t => {
  t.same(parseSignature('appc:fe00:2a/web@fe00:3~00c0ffee/0a1b/0123456789abcdef/31fff'), {
    store: 'fe00:2a',
    key: 'web@fe00:3~00c0ffee',
    view: '0a1b',
    launch: '0123456789abcdef',
    confinement: 0x1fff,
    supervised: true,
  })
  t.match(parseSignature('appc:1:2/web/0a/0123456789abcdef/0'), { confinement: null, supervised: false })
  t.match(parseSignature('appc:1:2/web/0a/0123456789abcdef/20001'), { confinement: 1, supervised: false })
  for (const other of [
    'appc',
    'none',
    'appc:1:2/web/0a/0123456789abcdef',
    'appc:1:2/a/b/c/0123456789abcdef/0',
    'xappc:1:2/web/0a/0123456789abcdef/0',
  ]) {
    t.equal(parseSignature(other), null, other)
  }
})

const root = lastingTree()

async function listed(site: Site) {
  const { stdout } = await site.appc('ps', '--json')
  const rows = stdout.split('\n').filter(line => line !== '')
  return rows.map(line => JSON.parse(line)).map(({ name, processes }) => [name, processes])
}

function sourceOf(pid: number): string {
  const [, source = ''] = / - overlay (\S+)/.exec(readFileSync(`/proc/${pid}/mountinfo`, 'utf8')) ?? []
  return source
}

forEachPerson((who, makeSite) =>
  t.test(`who makes up mounts is not believed, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    await site.pack(root, 'one', 'lasting')
    t.match(await site.run(['one']), { status: 0 })
    const { uid } = site.user
    const victim = (source: string) =>
      source.replace('/one/', '/victim/').replace(/[0-9a-f]{16}\/[0-9a-f]+$/, '0123456789abcdef/0')
    /** Somebody who sees an overlay with this source. */
    const forging = async (
      by: Site,
      name: string,
      source: string,
      inside: number,
      before: readonly string[] = ['/usr/bin/python3'],
    ) => {
      const [layer, target] = ['layer', 'target'].map(part => `${by.home}/${name}-${part}`) as [string, string]
      for (const path of [layer, target]) mkdirSync(path)
      const [program = '', ...args] = before
      const child = by.start(program, [...args, '-c', FORGE, layer, target, source, String(inside)])
      const said = await Promise.race([new Promise(resolve => child.stdout?.once('data', resolve)), endOf(child)])
      if (String(said) !== 'ready\n') throw new Error(`${said} ${child.stderr?.read()}`)
      return child
    }

    t.test('somebody else', async t => {
      if (uid !== 0) return
      const other = new Site({ uid: 54321, gid: 54321 })
      t.teardown(() => other.remove())
      const one = await started(site, ['one'])
      const source = sourceOf(one.pid)
      const same = await forging(other, 'same', source, 54321)
      const made = await forging(other, 'made', victim(source), 54321)
      t.same(await listed(site), [['one', [one.pid]]])
      t.match(await site.appc('exec', 'victim', 'true'), { status: 125, stderr: /victim does not run/ })
      t.match(await site.appc('stop', 'one'), { status: 0, stdout: `stopped one:${one.pid}\n` })
      t.same([same.exitCode, made.exitCode], [null, null])
      for (const child of [same, made]) child.stdin?.end()
      await Promise.all([endOf(same), endOf(made)])
    })

    t.test('who has more users in his namespace than the caller', async t => {
      const one = await started(site, ['one'])
      const made = await forging(site, 'mapped', victim(sourceOf(one.pid)), uid === 0 ? 7 : 0)
      t.same(await listed(site), [['one', [one.pid]]])
      for (const child of [one, made]) child.stdin?.end()
      await Promise.all([endOf(one), endOf(made)])
    })

    t.test('who is in a PID namespace of a container', async t => {
      const one = await started(site, ['--unshare-pid', 'one'])
      const before = await listed(site)
      t.match(before, [['one', { length: 3 }]])
      const inside = [process.execPath, site.cli, 'exec', 'one', '/usr/bin/python3']
      const made = await forging(site, 'inner', victim(sourceOf(one.pid)), uid, inside)
      t.same(
        (await listed(site)).map(([name]) => name),
        ['one'],
      )
      t.match(await site.appc('exec', 'victim', 'true'), { status: 125, stderr: /victim does not run/ })
      t.match(await site.appc('stop', 'one'), { status: 0 })
      await Promise.all([endOf(one), endOf(made)])
    })

    t.test('a program that has gone to a user namespace of its own is not followed there', async t => {
      const one = await started(site, ['one', 'apart'])
      const { status, stdout, stderr } = await site.appc('exec', 'one', 'true')
      t.same([status, stdout], [125, ''])
      // For others it is not known any more whether there is nobody but them in the namespace that it came from.
      t.match(
        stderr,
        uid === 0
          ? /one cannot be entered: its user namespace is not one that its launch has made/
          : /one does not run/,
      )
      one.kill('SIGKILL')
      await endOf(one)
    })
  }),
)
