import t from 'tap'
import { decodeManifest, encodeManifest } from '../../lib/container/manifest.js'
import type { Manifest } from '../../lib/container/types.js'

const file = (path: string): object => ({
  path,
  package: null,
  type: 'file',
  mode: 0o755,
  size: 1,
  sha256: 'a'.repeat(64),
})
const link = (path: string, target: string): object => ({ path, package: null, type: 'symlink', target })

const valid = {
  schema: 'appc.manifest/1',
  name: 'app',
  source: { os: null, machine: 62, loader: null },
  entries: [{ name: 'app', path: '/bin/app' }],
  packages: [],
  files: [
    file('/bin/app'),
    { path: '/etc/app', package: 'app', type: 'directory', mode: 0o755 },
    link('/etc/app/link', '../x'),
  ],
}

function bytes(changes: object): Buffer {
  return Buffer.from(JSON.stringify({ ...valid, ...changes }))
}

t.test('what is valid comes back as it was', async t => {
  const manifest = decodeManifest(bytes({}))
  t.same(manifest, valid)
  t.same(decodeManifest(encodeManifest(manifest)), manifest)
  t.ok(encodeManifest(manifest).equals(encodeManifest(JSON.parse(JSON.stringify(valid)) as Manifest)))
})

t.test('notes of freedesktop.org, and a manifest from before they were kept', async t => {
  const known = {
    ...{
      class: 64,
      data: 'little',
      machine: 62,
      osabi: 0,
      type: 'dyn',
      interpreter: null,
      dynamic: true,
      soname: 'a.so',
    },
    ...{ needed: [], rpath: null, runpath: null, auxiliaries: [], filters: [], audits: [], flags: 0, flags1: 0 },
    ...{ verdefs: [], verneeds: [], buildId: null, abiTag: null, executableStack: false, tls: false },
    ...{ symbols: { imports: [], exports: [] }, role: 'library', resolved: {} },
  }
  const notes = {
    dlopen: [{ soname: ['b.so.1', 'b.so.0'], feature: 'b', description: null, priority: 'suggested' }],
    packageMetadata: { type: 'deb', name: 'a' },
    unreadNotes: [{ offset: 7, because: 'it is no JSON' }],
  }
  const elfOf = (elf: object) => decodeManifest(bytes({ files: [{ ...file('/bin/app'), elf }] })).files[0]
  t.match(elfOf({ ...known, ...notes }), { elf: { ...known, ...notes } })
  t.match(elfOf(known), { elf: { ...known, dlopen: [], packageMetadata: null, unreadNotes: [] } })
})

t.test('an entry that is a link', async t => {
  const files = [{ ...link('/bin/app', '../x/../opt/app'), end: '/opt/app' }, file('/opt/app')]
  t.same(decodeManifest(bytes({ files })).files, files)
})

t.test('no manifest is written that would not be read', async t => {
  const manifest = { ...valid, files: [file('/bin/.appc-host'), file('/bin/app')] } as unknown as Manifest
  t.throws(() => encodeManifest(manifest), { code: 'NAME_INVALID', message: /^\/bin\/\.appc-host cannot/ })
})

t.test('what is not is refused', async t => {
  const withFile = (changes: object): object => ({ files: [{ ...file('/bin/app'), ...changes }] })
  const cases: Readonly<Record<string, object>> = {
    'another schema': { schema: 'appc.manifest/2' },
    'an unknown key': { more: 1 },
    'no entries': { entries: [] },
    'an entry that is not there': { entries: [{ name: 'app', path: '/bin/other' }] },
    'an entry that cannot be executed': withFile({ mode: 0o644 }),
    'an entry that is a link to nowhere': { files: [link('/bin/app', 'x')] },
    'an entry that is a link to what was not packed': { files: [{ ...link('/bin/app', 'x'), end: '/bin/x' }] },
    'an entry that leads to a directory': {
      files: [
        { ...link('/bin/app', 'x'), end: '/bin/x' },
        { path: '/bin/x', package: null, type: 'directory', mode: 0o755 },
      ],
    },
    'a reserved name': { files: [file('/bin/.appc-host'), file('/bin/app')] },
    'something below a reserved name': { files: [file('/bin/.appc-host/x'), file('/bin/app')] },
    'an entry that is a directory': { entries: [{ name: 'app', path: '/etc/app' }] },
    'two entries of one name': { entries: [valid.entries[0], valid.entries[0]] },
    'an entry name with a slash': { entries: [{ name: 'a/b', path: '/bin/app' }] },
    'a relative path': withFile({ path: 'bin/app' }),
    'the root': withFile({ path: '/' }),
    'a climbing path': withFile({ path: '/bin/../app' }),
    'a doubled slash': withFile({ path: '/bin//app' }),
    'a trailing slash': withFile({ path: '/bin/app/' }),
    'a NUL in a path': withFile({ path: '/bin/app\0' }),
    'a path too long': withFile({ path: `/${'a/'.repeat(2100)}a` }),
    'a name too long': withFile({ path: `/${'a'.repeat(256)}` }),
    'a setuid mode': withFile({ mode: 0o4755 }),
    'a negative size': withFile({ size: -1 }),
    'a fractional size': withFile({ size: 1.5 }),
    'a size beyond exactness': withFile({ size: 2 ** 60 }),
    'a digest too short': withFile({ sha256: 'a' }),
    'a digest in capitals': withFile({ sha256: 'A'.repeat(64) }),
    'an unknown type': withFile({ type: 'device' }),
    'the same path twice': { files: [file('/bin/app'), file('/bin/app')] },
    'the wrong order': { files: [file('/bin/app'), file('/bin/a')] },
    'a file below a file': { files: [file('/bin/app'), file('/bin/app/x')] },
    'a file below a link': { files: [file('/bin/app'), link('/x', '/etc'), file('/x/passwd')] },
    'a link without text': { files: [file('/bin/app'), link('/x', '')] },
    'a NUL in a link': { files: [file('/bin/app'), link('/x', 'a\0b')] },
    'ELF facts that are none': withFile({ elf: {} }),
    'a prototype': withFile({ elf: { resolved: JSON.parse('{"__proto__": "/x"}') } }),
  }
  for (const [what, changes] of Object.entries(cases))
    t.throws(() => decodeManifest(bytes(changes)), { code: 'MANIFEST_INVALID' }, what)
  t.throws(() => decodeManifest(bytes({ name: '../x' })), { code: 'NAME_INVALID' })
})

t.test('bytes that are no JSON', async t => {
  for (const text of ['', '{', 'null', '[]', '"x"', '['.repeat(100_000)])
    t.throws(() => decodeManifest(Buffer.from(text)), { code: 'MANIFEST_INVALID' }, text.slice(0, 10))
  t.throws(() => decodeManifest(Buffer.from([0x22, 0xff, 0x22])), { code: 'MANIFEST_INVALID' }, 'no UTF-8')
})
