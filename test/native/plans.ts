import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { encodePlan } from '../../lib/plan/file.js'
import type { Plan } from '../../lib/plan/types.js'
import { identity, Sandbox } from './fixture.js'

/** A plan with something in each of its tables, and plans that have much of one thing or nothing. */
export function samplePlans(sandbox: Sandbox): readonly [whole: Plan, ...others: Plan[]] {
  const overlay = { target: '/usr/lib', layer: '/layer', carried: ['/usr/lib/a', '/usr/lib/b'] }
  const names = {
    kind: 'names',
    path: '/usr',
    names: [
      { name: 'x', link: null },
      { name: 'y', link: '../y' },
    ],
    dev: 1n,
    ino: 2n,
    mtimeNs: 3n,
    ctimeNs: 4n,
  } as const
  const object = { sha256: 'ab'.repeat(32), executable: false, ino: 1n, size: 2, mtimeNs: 3n, ctimeNs: 4n }
  const objects = Array.from({ length: 20 }, (_, i) => ({ ...object, sha256: `${10 + i}`.repeat(32) }))
  const whole = sandbox.plan('whole', {
    request: ['/bin/x', '/lib'],
    root: '/tree',
    guards: [identity('/etc', '/etc'), { kind: 'absent', path: '/nonexistent', seenAs: null }, names],
    overlays: [overlay, { target: '/opt', layer: '/other', carried: [] }],
    objects: { dev: 5n, files: [object, { ...object, executable: true }] },
    binds: [{ source: '/proc', target: '/proc' }],
    environment: [
      { name: 'A', value: 'b' },
      { name: 'GONE', value: null },
    ],
    loaderEnvironment: { LD_PRELOAD: '/x.so' },
    needs: ['net', 'rw=/srv'],
  })
  const directories = ['/', '/bin', '/dev', '/etc', '/lib', '/proc', '/usr', '/usr/bin', '/usr/lib', '/var']
  const carried = Array.from({ length: 30 }, (_, i) => `/usr/lib/${i}`)
  return [
    whole,
    sandbox.plan('bare', { request: [], programs: [], environment: [] }),
    sandbox.plan('guarded', { guards: directories.flatMap(path => [identity(path), identity(path, path)]) }),
    sandbox.plan('laid-over', {
      overlays: directories.slice(1).map(target => ({ target, layer: `/view${target}`, carried: [] })),
    }),
    sandbox.plan('carrying', { overlays: [{ ...overlay, carried }] }),
    sandbox.plan('private', { objects: { dev: 5n, files: objects } }),
    sandbox.plan('in-a-tree', { root: '/tree', binds: directories.map(path => ({ source: path, target: path })) }),
  ]
}

/** Run by scripts/fuzz-plan: writes them to a directory. */
const [, script = '', directory] = process.argv
if (import.meta.url === pathToFileURL(script).href && directory !== undefined) {
  const sandbox = new Sandbox({ uid: 0, gid: 0 })
  for (const plan of samplePlans(sandbox)) writeFileSync(join(directory, plan.name), encodePlan(plan))
  sandbox.remove()
}
