import t from 'tap'
import { decodePlan, encodePlan, planKey } from '../../lib/plan/file.js'
import type { Plan } from '../../lib/plan/types.js'
import { xxHash32 } from '../../lib/plan/xxhash32.js'

const absent = (name: string) => ({ name, link: null })

const plan: Plan = {
  name: 'häuschen',
  request: ['/bin/x', '/lib'],
  root: '/tree',
  uid: 1000,
  gid: 4294967294,
  kernelRelease: '6.1.0-18-amd64',
  cpuLevel: 3,
  loaderEnvironment: { LD_LIBRARY_PATH: '/a:/b' },
  guards: [
    {
      kind: 'identity',
      path: '/etc/ld.so.cache',
      dev: 2n ** 63n,
      ino: 2n ** 64n - 1n,
      size: 2 ** 40,
      mode: 0o100644,
      mtimeNs: 1764000000123456789n,
      ctimeNs: -1n,
      seenAs: '/etc/ld.so.cache',
    },
    { kind: 'absent', path: '/etc/ld.so.preload', seenAs: null },
    { kind: 'absent', path: '/tree/usr/lib/none', seenAs: '/usr/lib/none' },
    {
      kind: 'names',
      path: '/usr/lib',
      names: [absent('a'), { name: 'b', link: '../c' }],
      dev: 1n,
      ino: 2n,
      mtimeNs: 3n,
      ctimeNs: 2n ** 62n,
    },
    { kind: 'names', path: '/opt', names: [absent('ä')], dev: 1n, ino: 3n, mtimeNs: 0n, ctimeNs: 0n },
  ],
  objects: {
    dev: 2n ** 63n + 1n,
    files: [
      { sha256: '0123456789abcdef'.repeat(4), executable: false, ino: 2n ** 63n, size: 0, mtimeNs: -1n, ctimeNs: 5n },
      { sha256: 'f'.repeat(64), executable: true, ino: 7n, size: 2 ** 40, mtimeNs: 3n, ctimeNs: 2n ** 62n },
    ],
  },
  overlays: [
    { target: '/usr/lib', layer: '/store/1', carried: ['/usr/lib/a', '/usr/lib/b'] },
    { target: '/opt', layer: '/store/2', carried: ['/opt/c'] },
  ],
  binds: [{ source: '/proc', target: '/proc' }],
  programs: [{ name: 'x', path: '/usr/bin/x' }],
  environment: [
    { name: 'SET', value: 'a=b' },
    { name: 'EMPTY', value: '' },
    { name: 'GONE', value: null },
  ],
  needs: ['net', 'rw=~/Music'],
}
const bare: Plan = {
  ...plan,
  root: null,
  request: [],
  guards: [],
  objects: { dev: 0n, files: [] },
  overlays: [],
  binds: [],
  programs: [],
  environment: [],
  needs: [],
  loaderEnvironment: {},
}

t.test('what is written is read again', async t => {
  t.same(decodePlan(encodePlan(plan)), plan)
  t.same(decodePlan(encodePlan(bare)), bare)
  t.same(decodePlan(encodePlan({ ...bare, loaderEnvironment: { LD_AUDIT: '' } })), bare, 'empty is unset to the loader')
  t.ok(encodePlan(plan).equals(encodePlan(structuredClone(plan))), 'equal plans give equal bytes')
})

t.test('what the format cannot hold is not written', async t => {
  const [overlay] = plan.overlays
  const [object] = plan.objects.files
  if (overlay === undefined || object === undefined) throw new Error('the plan has both')
  const wrong: Readonly<Record<string, Partial<Plan>>> = {
    'a relative path': { root: 'tree' },
    'a NUL': { name: 'a\0b' },
    'a long path': { root: `/${'x'.repeat(4095)}` },
    'a mount that is not below its target': { overlays: [{ ...overlay, carried: ['/usr/libexec'] }] },
    'a name that is no sha256': {
      objects: { ...plan.objects, files: [{ ...object, sha256: 'F'.repeat(64) }] },
    },
    'too many objects': { objects: { ...plan.objects, files: Array(131073).fill(object) } },
    'too many overlays': { overlays: Array(65).fill({ ...overlay, carried: [] }) },
    'too many mounts': { overlays: [{ ...overlay, carried: Array(257).fill('/usr/lib/a') }] },
    'a long name': {
      guards: [
        { kind: 'names', path: '/opt', names: [absent('x'.repeat(256))], dev: 1n, ino: 3n, mtimeNs: 0n, ctimeNs: 0n },
      ],
    },
    'a name with a slash': {
      guards: [{ kind: 'names', path: '/opt', names: [absent('a/b')], dev: 1n, ino: 3n, mtimeNs: 0n, ctimeNs: 0n }],
    },
    'no names': { guards: [{ kind: 'names', path: '/opt', names: [], dev: 1n, ino: 3n, mtimeNs: 0n, ctimeNs: 0n }] },
    'a variable without a name': { environment: [{ name: '', value: 'x' }] },
    'a name with =': { environment: [{ name: 'a=b', value: 'x' }] },
    'too many bytes': { request: Array.from({ length: 5000 }, (_, index) => `${index}`.padEnd(4000, 'x')) },
  }
  for (const [what, parts] of Object.entries(wrong)) {
    t.throws(() => encodePlan({ ...plan, ...parts }), { code: 'PLAN_INVALID' }, what)
  }
})

t.test('damage is an error of its own, whatever it hits', async t => {
  const whole = encodePlan(plan)
  for (let length = 0; length < whole.length; length += 1) {
    t.throws(() => decodePlan(whole.subarray(0, length)), { code: 'PLAN_INVALID' })
  }
  let read = 0
  for (let at = 0; at < whole.length; at += 1) {
    for (const change of [0x01, 0x80, 0xff]) {
      const changed = Buffer.from(whole)
      changed.writeUInt8(changed.readUInt8(at) ^ change, at)
      t.throws(() => decodePlan(changed), { code: 'PLAN_INVALID' })
      // Past the checksum: either read as something, or refused in the same way.
      changed.writeUInt32LE(xxHash32(changed.subarray(16)), 12)
      try {
        decodePlan(changed)
        read += 1
      } catch (error) {
        t.match(error, { code: 'PLAN_INVALID' })
      }
    }
  }
  t.ok(read > 0)
})

t.test('plan keys', async t => {
  const of = { kind: 'container', subject: 'name', libraryDirectories: [], root: null } as const
  t.equal(planKey(of, {}), 'name')
  t.equal(planKey({ ...of, root: { dev: 0xfe01n, ino: 255n } }, {}), 'name@fe01:ff')
  t.equal(
    planKey(of, { LD_PRELOAD: '/x', OTHER: 'y', LD_AUDIT: '' }),
    // FNV-1a, 64 bits, of LD_PRELOAD and /x, each with a NUL.
    'name~3fc754e230fc5996',
  )
  const program = { ...of, kind: 'program', subject: '/bin/x' } as const
  const keys = [
    program,
    { ...program, libraryDirectories: ['/a'] },
    { ...program, libraryDirectories: ['/a', '/b'] },
    { ...program, subject: '/bin/x\n/a' },
  ]
  t.equal(new Set(keys.map(key => planKey(key, {}))).size, keys.length)
  for (const key of keys) t.match(planKey(key, {}), /^=[0-9a-f]{16}$/)
})
