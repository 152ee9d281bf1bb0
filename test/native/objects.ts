import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import type { GuardedObject, Plan } from '../../lib/plan/types.js'
import { objectMode, objectPath } from '../../lib/store/objects.js'
import { coldStatus, Sandbox, users } from './fixture.js'

/** Puts these texts into the sandbox's store; every other one can be executed. */
function fill(sandbox: Sandbox, texts: readonly string[]): Plan['objects'] {
  const files = texts.map((text, at) => {
    const sha256 = createHash('sha256').update(text).digest('hex')
    const executable = at % 2 === 1
    const path = objectPath({ home: sandbox.store }, sha256, executable)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
    chmodSync(path, objectMode(executable))
    return identityOf(sandbox, { sha256, executable })
  })
  return { dev: lstatSync(join(sandbox.store, 'objects'), { bigint: true }).dev, files }
}

function identityOf(sandbox: Sandbox, name: Pick<GuardedObject, 'sha256' | 'executable'>): GuardedObject {
  const { ino, size, mtimeNs, ctimeNs } = lstatSync(pathOf(sandbox, name), { bigint: true })
  return { sha256: name.sha256, executable: name.executable, ino, size: Number(size), mtimeNs, ctimeNs }
}

function pathOf(sandbox: Sandbox, { sha256, executable }: Pick<GuardedObject, 'sha256' | 'executable'>): string {
  return objectPath({ home: sandbox.store }, sha256, executable)
}

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const install = (objects: Plan['objects']) => sandbox.install(sandbox.plan('private', { objects }))
    const status = () => sandbox.run(['private', '-c', 'exit 0']).status
    const statusWith = (objects: Plan['objects']) => {
      install(objects)
      return status()
    }

    t.test('each field of an object', async t => {
      const objects = fill(sandbox, ['one', 'two'])
      t.equal(statusWith(objects), 0)
      t.equal(statusWith({ dev: 0n, files: [] }), 0, 'none')
      t.equal(statusWith({ ...objects, dev: objects.dev + 1n }), coldStatus, 'dev')
      for (const at of [0, 1]) {
        const changed = (parts: Partial<GuardedObject>) => {
          const files = objects.files.map((file, index) => (index === at ? { ...file, ...parts } : file))
          return statusWith({ ...objects, files })
        }
        const file = objects.files[at] as GuardedObject
        t.equal(changed({}), 0)
        for (const field of ['ino', 'mtimeNs', 'ctimeNs'] as const)
          t.equal(changed({ [field]: file[field] + 1n }), coldStatus, field)
        t.equal(changed({ size: file.size + 1 }), coldStatus, 'size')
        t.equal(changed({ executable: !file.executable }), coldStatus, 'another name')
        t.equal(changed({ sha256: file.sha256.replace(/.$/, last => (last === '0' ? '1' : '0')) }), coldStatus)
      }
    })

    t.test('what is done to an object', async t => {
      const damages: Readonly<Record<string, (path: string) => void>> = {
        'written to, with the time of modification put back': path => {
          const { atime, mtime, ctimeNs } = lstatSync(path, { bigint: true })
          // Change times may be those of the kernel's last timer tick.
          while (lstatSync(path, { bigint: true }).ctimeNs === ctimeNs) {
            chmodSync(path, 0o644)
            writeFileSync(path, 'ONE')
            utimesSync(path, atime, mtime)
            chmodSync(path, 0o444)
          }
        },
        'cut short': path => truncateSync(path),
        'another mode': path => chmodSync(path, 0o644),
        removed: path => rmSync(path),
        'another file of the same bytes': path => {
          copyFileSync(path, `${path}.new`)
          renameSync(`${path}.new`, path)
        },
        'a link to the same': path => {
          renameSync(path, `${path}.1`)
          symlinkSync(`${path}.1`, path)
        },
        'a directory': path => {
          rmSync(path)
          mkdirSync(path)
        },
        'linked once more': path => {
          const { ctimeNs } = lstatSync(path, { bigint: true })
          for (let at = 0; lstatSync(path, { bigint: true }).ctimeNs === ctimeNs; at++) linkSync(path, `${path}.${at}`)
        },
        'its directory removed': path => rmSync(dirname(path), { recursive: true }),
        'all removed': () => rmSync(join(sandbox.store, 'objects'), { recursive: true }),
        'another directory of objects': () => {
          const objects = join(sandbox.store, 'objects')
          renameSync(objects, `${objects}.1`)
          mkdirSync(objects)
        },
      }
      for (const [what, damage] of Object.entries(damages)) {
        for (const name of readdirSync(sandbox.store).filter(name => name.startsWith('objects')))
          rmSync(join(sandbox.store, name), { recursive: true })
        const objects = fill(sandbox, ['one'])
        t.equal(statusWith(objects), 0)
        damage(pathOf(sandbox, objects.files[0] as GuardedObject))
        t.equal(status(), coldStatus, what)
      }
    })

    t.test('which one it was', async t => {
      const objects = fill(sandbox, ['one', 'two'])
      install(objects)
      const [, two] = objects.files as [GuardedObject, GuardedObject]
      chmodSync(pathOf(sandbox, two), 0o755)
      const path = `${two.sha256.slice(0, 2)}/${two.sha256.slice(2)}.x`
      const { stdout } = sandbox.run(['--info', 'private'])
      t.match(JSON.parse(stdout), { holds: false, because: 'changed since the plan was made:', path })
    })

    t.test('each of thousands', async t => {
      const many = 4000
      const texts = Array.from({ length: many }, (_, at) => `number ${at}`)
      const objects = fill(sandbox, texts)
      t.equal(statusWith(objects), 0)
      for (const at of [0, 1, many / 2, many - 1]) {
        const files = objects.files.map((file, index) => (index === at ? { ...file, ino: file.ino + 1n } : file))
        t.equal(statusWith({ ...objects, files }), coldStatus, `number ${at}`)
      }
    })
  })
}
