import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Guard, GuardedName, NamesGuard } from '../../lib/plan/types.js'
import { coldStatus, identity, makeTree, Sandbox, users } from './fixture.js'

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const statusWith = (guards: readonly Guard[], env = {}) => {
      sandbox.install(sandbox.plan('guarded', { guards }))
      return sandbox.run(['guarded', '-c', 'exit 0'], { env }).status
    }

    t.test('each field of an identity', async t => {
      makeTree(sandbox.directory, { file: 'x' })
      const guard = identity(sandbox.path('file'))
      t.equal(statusWith([guard]), 0)
      t.equal(statusWith([identity(sandbox.directory)]), 0, 'a directory')
      t.equal(statusWith([identity('/dev/null')]), 0, 'a device of another file system')
      for (const field of ['dev', 'ino', 'mtimeNs', 'ctimeNs'] as const) {
        t.equal(statusWith([{ ...guard, [field]: guard[field] + 1n }]), coldStatus, field)
      }
      for (const field of ['size', 'mode'] as const) {
        t.equal(statusWith([{ ...guard, [field]: guard[field] + 1 }]), coldStatus, field)
      }
    })

    t.test('what is done to a host', async t => {
      const path = sandbox.path('library')
      const changes: readonly (readonly [string, () => void])[] = [
        [
          'rewritten in place',
          () => {
            // The times of a file may be those of the kernel's last timer tick.
            const { mtimeNs } = lstatSync(path, { bigint: true })
            while (lstatSync(path, { bigint: true }).mtimeNs === mtimeNs) writeFileSync(path, 'y')
          },
        ],
        [
          'replaced by rename, with the same times',
          () => {
            const { atime, mtime } = lstatSync(path)
            writeFileSync(`${path}.new`, 'x')
            utimesSync(`${path}.new`, atime, mtime)
            renameSync(`${path}.new`, path)
          },
        ],
        ['removed', () => rmSync(path)],
        [
          'replaced by a symlink to the same',
          () => {
            renameSync(path, `${path}.1`)
            symlinkSync(`${path}.1`, path)
          },
        ],
        ['made readable by others', () => chmodSync(path, 0o604)],
      ]
      for (const [what, change] of changes) {
        rmSync(path, { force: true })
        writeFileSync(path, 'x')
        const guard = identity(path)
        t.equal(statusWith([guard]), 0)
        change()
        t.equal(statusWith([guard]), coldStatus, what)
      }
    })

    t.test('what must be absent', async t => {
      const below = sandbox.path('directory/name')
      makeTree(sandbox.directory, { plain: 'x' })
      t.equal(statusWith([{ kind: 'absent', path: below, seenAs: null }]), 0, 'its directory too')
      t.equal(
        statusWith([{ kind: 'absent', path: sandbox.path('plain/name'), seenAs: null }]),
        0,
        'a file where its directory would be',
      )
      mkdirSync(sandbox.path('directory'))
      t.equal(statusWith([{ kind: 'absent', path: below, seenAs: null }]), 0)
      symlinkSync('/nonexistent', below)
      t.equal(
        statusWith([{ kind: 'absent', path: below, seenAs: null }]),
        coldStatus,
        'a dangling symlink is something',
      )
      symlinkSync('circle', sandbox.path('circle'))
      for (const path of [sandbox.path('circle/name'), sandbox.path('x'.repeat(256))])
        t.equal(statusWith([{ kind: 'absent', path, seenAs: null }]), 0, 'what nobody can look at')
      chmodSync(sandbox.path('directory'), 0o000)
      const mayLook = user.uid === 0
      t.equal(
        statusWith([{ kind: 'absent', path: below, seenAs: null }]),
        mayLook ? coldStatus : 0,
        'what this user cannot look at',
      )
      chmodSync(sandbox.path('directory'), 0o755)
    })

    t.test('names that must be absent from a directory', async t => {
      const path = sandbox.path('names')
      makeTree(path, { there: 'x' })
      const link = sandbox.path('link-to-names')
      symlinkSync('names', link)
      const guard = (names: readonly string[], at = path): NamesGuard => {
        const { dev, ino, mtimeNs, ctimeNs } = statSync(at, { bigint: true })
        return { kind: 'names', path: at, names: absent(names), dev, ino, mtimeNs, ctimeNs }
      }
      const absent = (names: readonly string[]): readonly GuardedName[] => names.map(name => ({ name, link: null }))
      const unknown = { mtimeNs: 0n, ctimeNs: 0n }
      t.equal(statusWith([guard(['there'])]), 0, 'not looked up while the directory is the same')
      t.equal(statusWith([guard(['there'], link)]), 0, 'which the path leads to')
      for (const field of ['dev', 'ino', 'mtimeNs', 'ctimeNs'] as const) {
        const other = { ...guard(['there', 'none']), [field]: guard([])[field] + 1n }
        t.equal(statusWith([other]), coldStatus, field)
        t.equal(
          statusWith([{ ...other, names: absent(['none', 'neither']) }]),
          0,
          `${field}, and none of the names is there`,
        )
      }
      t.equal(statusWith([{ ...guard(['none', 'there']), ...unknown }]), coldStatus, 'without times')

      const before = guard(['new', 'newer'])
      t.equal(statusWith([before]), 0)
      // Times may be those of the kernel's last timer tick.
      for (let at = 0; guard([]).ctimeNs === before.ctimeNs; at++) writeFileSync(`${path}/other-${at}`, 'x')
      t.equal(statusWith([before]), 0, 'another name came')
      symlinkSync('/nonexistent', `${path}/newer`)
      t.equal(statusWith([before]), coldStatus, 'one of them came')
      rmSync(path, { recursive: true })
      t.equal(statusWith([before]), 0, 'the directory is gone')
      const long = { ...before, path: `/${'a/'.repeat(1950)}${'b'.repeat(194)}` }
      t.equal(statusWith([{ ...long, names: absent(['x'.repeat(255)]) }]), 0)
      t.equal(statusWith([{ ...long, names: [{ name: 'x'.repeat(255), link: 'x' }] }]), coldStatus)
    })

    t.test('links that must lead where they did', async t => {
      const path = sandbox.path('links')
      makeTree(path, { file: 'x' })
      symlinkSync('../text', `${path}/link`)
      const { dev, ino, ...times } = statSync(path, { bigint: true })
      const { mtimeNs, ctimeNs } = times
      const guard = (name: string, link: string | null): NamesGuard => {
        return {
          kind: 'names',
          path,
          names: [
            { name: 'none', link: null },
            { name, link },
          ],
          dev,
          ino,
          mtimeNs,
          ctimeNs,
        }
      }
      t.equal(statusWith([guard('link', 'other')]), 0, 'not looked up while the directory is the same')
      const changed = (name: string, link: string | null) =>
        statusWith([{ ...guard(name, link), mtimeNs: 0n, ctimeNs: 0n }])
      t.equal(changed('link', '../text'), 0)
      const others = ['../tex', '../texts', '', 'x'.repeat(4095), null]
      for (const text of others) t.equal(changed('link', text), coldStatus, String(text))
      t.equal(changed('file', 'x'), coldStatus, 'a file')
      t.equal(changed('gone', 'x'), coldStatus, 'nothing')
    })

    t.test('the host and the caller', async t => {
      const statusOf = (parts: object, env = {}) => {
        sandbox.install(sandbox.plan('host', parts), 'host')
        return sandbox.run(['host', '-c', 'exit 0'], { env }).status
      }
      t.equal(statusOf({}), 0)
      t.equal(statusOf({ uid: user.uid + 1 }), coldStatus)
      t.equal(statusOf({ gid: user.gid + 1 }), coldStatus)
      t.equal(statusOf({ kernelRelease: '1.0' }), coldStatus)
      t.equal(statusOf({ cpuLevel: 9 }), coldStatus)
      t.equal(statusOf({ request: ['other'] }), coldStatus)
      t.equal(statusOf({ request: ['host', '/lib'] }), coldStatus)
      t.equal(statusOf({ root: '/usr' }), coldStatus)
      t.equal(statusOf({ loaderEnvironment: { LD_AUDIT: '/x' } }), coldStatus)
      t.equal(statusOf({}, { LD_AUDIT: '' }), 0, 'an empty variable is as good as none')
    })

    t.test('a plan for each set of the loader’s variables', async t => {
      const loaderEnvironment = { LD_LIBRARY_PATH: '/nonexistent' }
      sandbox.install(sandbox.plan('loader', { loaderEnvironment }))
      t.equal(sandbox.run(['loader', '-c', 'exit 0'], { env: loaderEnvironment }).status, 0)
      t.equal(sandbox.run(['loader', '-c', 'exit 0']).status, coldStatus, 'unset')
      t.equal(
        sandbox.run(['loader', '-c', 'exit 0'], { env: { LD_LIBRARY_PATH: '/other' } }).status,
        coldStatus,
        'changed',
      )
    })

    t.test('the file of a plan belongs to the one who runs it, and nobody else may write it', async t => {
      const path = sandbox.install(sandbox.plan('owned', {}))
      const status = () => sandbox.run(['owned', '-c', 'exit 0']).status
      t.equal(status(), 0)
      for (const mode of [0o664, 0o646]) {
        chmodSync(path, mode)
        t.equal(status(), coldStatus, mode.toString(8))
      }
      chmodSync(path, 0o644)
      renameSync(path, `${path}.elsewhere`)
      symlinkSync(`${path}.elsewhere`, path)
      t.equal(status(), coldStatus, 'a symlink to it')
      renameSync(`${path}.elsewhere`, path)
      t.equal(status(), 0)
      if (process.geteuid?.() !== 0) return
      chownSync(path, user.uid + 1, user.gid)
      t.equal(status(), coldStatus, 'of another user')
    })

    t.test('links are looked at once more as well, and names that are not there', async t => {
      const overlay = sandbox.overlay('names', { there: '', other: '' }, {})
      const at = (name: string) => `${overlay.target}/${name}`
      symlinkSync('there', at('link'))
      const guards = [
        identity(at('link'), at('link')),
        { kind: 'absent', path: at('none'), seenAs: at('none') } as const,
      ]
      sandbox.install(sandbox.plan('names', { overlays: [overlay], guards }))
      t.equal(sandbox.run(['names', '-c', 'exit 0']).status, 0)

      // What was looked up in an overlay stays what it was: so the loader finds what was found before it.
      const script = `echo started; read line; cd ${overlay.target}; readlink link; ls none new`
      const running = spawn(sandbox.launcher, ['names', '-c', script], { ...user, env: sandbox.environment() })
      await once(running.stdout, 'data')
      symlinkSync('other', at('link.new'))
      renameSync(at('link.new'), at('link'))
      for (const name of ['none', 'new']) writeFileSync(at(name), '')
      running.stdin.end('\n')
      const output = text(running.stdout)
      await once(running, 'exit')
      t.equal(await output, 'there\nnew\n')

      for (const name of ['link', 'none']) {
        rmSync(overlay.target, { recursive: true })
        makeTree(overlay.target, { there: '' })
        symlinkSync('there', at('link'))
        const [link, none] = [identity(at('link'), at('link')), guards[1] as Guard]
        sandbox.install(sandbox.plan('names', { overlays: [overlay], guards: [link, none] }))
        t.equal(sandbox.run(['names', '-c', 'exit 0']).status, 0)
        makeTree(overlay.layer, { [name]: 'layer' })
        t.equal(sandbox.run(['names', '-c', 'exit 0']).status, coldStatus, `${name} is another in the view`)
        rmSync(`${overlay.layer}/${name}`)
      }
    })

    t.test('a shared file is looked at once more as programs see it', async t => {
      const overlay = sandbox.overlay('seen', { shared: 'host' }, {})
      const path = `${overlay.target}/shared`
      const statusOf = (guard: Guard) => {
        sandbox.install(sandbox.plan('seen', { overlays: [overlay], guards: [guard] }))
        return sandbox.run(['seen', '-c', 'exit 0'])
      }
      t.equal(statusOf(identity(path, path)).status, 0)
      makeTree(overlay.layer, { shared: 'layer' })
      const cold = statusOf(identity(path, path))
      t.equal(cold.status, coldStatus, 'the layer hides it')
      // Node, in the namespace that the mounts were made in, must see the host.
      const script = sandbox.path('installation/bin/node')
      writeFileSync(script, `#!/bin/sh\ncat ${path}\ngrep -c ' - overlay appc:' /proc/self/mountinfo\n`)
      t.equal(sandbox.run(['seen', '-c', 'exit 0']).stdout, 'host0\n', 'and its mounts are gone again')
    })

    t.test('a host that never comes to rest', async t => {
      sandbox.install(sandbox.plan('restless', { guards: [{ kind: 'absent', path: '/etc', seenAs: null }] }))
      const after = (rounds: number) => sandbox.run(['restless'], { env: { APPC_REPLANNED: `${rounds}:0:` } })
      t.not(after(3).status, 125)
      const result = after(4)
      t.match(result, {
        status: 125,
        stderr: /keeps changing.*: changed since the plan was made: \/etc\n\nhint: /,
      })
    })
  })
}
