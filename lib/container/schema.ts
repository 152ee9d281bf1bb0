import * as v from 'valibot'
import { needsSchema } from './needs.js'
import { policySchema } from './policy.js'

/** Bounds on what is believed of a manifest; the largest real ones (a whole desktop) stay far below. */
export const MAX_MANIFEST_BYTES = 1 << 28
const MAX_FILES = 1_000_000
const MAX_PATH = 4096 // PATH_MAX
const MAX_NAME = 65_536 // C++ has symbols of tens of kilobytes

const name = v.pipe(v.string(), v.maxLength(MAX_NAME), v.check(noNul, 'holds a NUL'))
const line = v.pipe(v.string(), v.maxLength(4096), v.check(noNul, 'holds a NUL'))
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const word = v.pipe(count, v.maxValue(0xffff))
const path = v.pipe(v.string(), v.maxLength(MAX_PATH), v.check(isCanonicalPath, 'is not an absolute, normalised path'))
const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'is not a sha256'))
const mode = v.pipe(count, v.maxValue(0o777))
const list = <T extends v.GenericSchema>(item: T) => v.pipe(v.array(item), v.maxLength(MAX_FILES))
const elfClass = v.picklist([32, 64])

const dependency = v.strictObject({
  name: line,
  architecture: v.exactOptional(line),
  relation: v.nullable(v.picklist(['<<', '<=', '=', '>=', '>>'])),
  version: v.nullable(line),
})

const pkg = v.strictObject({
  name: line,
  version: line,
  architecture: line,
  source: v.exactOptional(line),
  multiArch: v.exactOptional(v.picklist(['same', 'foreign', 'allowed'])),
  essential: v.boolean(),
  depends: list(list(dependency)),
  provides: list(v.strictObject({ name: line, version: v.nullable(line) })),
  own: v.boolean(),
})

const loader = v.strictObject({
  kind: v.picklist(['glibc', 'musl']),
  path,
  realPath: path,
  version: v.tuple([count, count]),
  systemDirectories: list(line),
  lib: line,
  platform: line,
  assertsVersions: v.exactOptional(v.literal(true)),
  class: elfClass,
  data: v.picklist(['little', 'big']),
  machine: word,
})

const symbols = v.strictObject({
  imports: list(
    v.strictObject({
      name,
      version: v.exactOptional(name),
      file: v.exactOptional(name),
      weak: v.exactOptional(v.literal(true)),
      copySize: v.exactOptional(count),
    }),
  ),
  exports: list(
    v.strictObject({
      name,
      version: v.exactOptional(name),
      hidden: v.exactOptional(v.literal(true)),
      weak: v.exactOptional(v.literal(true)),
      objectSize: v.exactOptional(count),
    }),
  ),
})

const dlopenNote = v.strictObject({
  soname: list(name),
  feature: v.nullable(name),
  description: v.nullable(name),
  priority: v.picklist(['required', 'recommended', 'suggested']),
})

/** Of an ELF file, as lib/elf reads them. */
export const elfFacts = {
  class: elfClass,
  data: v.picklist(['little', 'big']),
  machine: word,
  osabi: word,
  type: v.picklist(['exec', 'dyn', 'other']),
  interpreter: v.nullable(line),
  dynamic: v.boolean(),
  soname: v.nullable(name),
  needed: list(name),
  rpath: v.nullable(name),
  runpath: v.nullable(name),
  auxiliaries: list(name),
  filters: list(name),
  audits: list(name),
  flags: count,
  flags1: count,
  verdefs: list(v.strictObject({ name, weak: v.boolean() })),
  verneeds: list(v.strictObject({ file: name, version: name, weak: v.boolean() })),
  buildId: v.nullable(v.pipe(v.string(), v.regex(/^([0-9a-f]{2})*$/), v.maxLength(1024))),
  abiTag: v.nullable(v.strictObject({ os: count, kernel: v.tuple([count, count, count]) })),
  // Absent in manifests of appc 0.1.0.
  dlopen: v.exactOptional(list(dlopenNote), []),
  packageMetadata: v.exactOptional(v.nullable(v.record(name, name)), null),
  unreadNotes: v.exactOptional(list(v.strictObject({ offset: count, because: line })), []),
  executableStack: v.boolean(),
  tls: v.boolean(),
}

const elf = v.strictObject({
  ...elfFacts,
  symbols,
  role: v.picklist(['library', 'program', 'module']),
  resolved: v.record(name, path),
  dlopened: v.exactOptional(v.record(name, path)),
})

const base = { path, package: v.nullable(line) }

const file = v.variant('type', [
  v.strictObject({
    ...base,
    type: v.literal('file'),
    mode,
    size: count,
    sha256: digest,
    recorded: v.exactOptional(v.literal(true)),
    elf: v.exactOptional(elf),
  }),
  v.strictObject({
    ...base,
    type: v.literal('symlink'),
    target: v.pipe(v.string(), v.minLength(1), v.maxLength(MAX_PATH), v.check(noNul, 'holds a NUL')),
    end: v.exactOptional(path),
  }),
  v.strictObject({ ...base, type: v.literal('directory'), mode }),
])

/** Shape and bounds of each value; how they hang together is checked by `decodeManifest`. */
export const manifestSchema = v.strictObject({
  schema: v.literal('appc.manifest/1'),
  name: line,
  source: v.strictObject({
    os: v.nullable(v.strictObject({ id: line, version: line, name: line })),
    machine: word,
    loader: v.nullable(loader),
  }),
  entries: v.pipe(list(v.strictObject({ name: line, path })), v.minLength(1)),
  packages: list(pkg),
  policy: v.exactOptional(policySchema),
  needs: v.exactOptional(needsSchema),
  files: list(file),
})

/** Absolute, no empty, `.` or `..` component, no NUL, and not the root itself. */
export function isCanonicalPath(text: string): boolean {
  if (!text.startsWith('/') || text.includes('\0')) return false
  return text
    .slice(1)
    .split('/')
    .every(part => part !== '' && part !== '.' && part !== '..' && Buffer.byteLength(part) <= 255)
}

function noNul(text: string): boolean {
  return !text.includes('\0')
}
