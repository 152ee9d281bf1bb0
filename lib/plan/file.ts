import { isDigest } from '../store/objects.js'
import { Decoder, Encoder, invalid } from './bytes.js'
import { GUARD_KINDS, HEADER, MAX_LENGTH } from './layout.js'
import { type Guard, type GuardedName, type GuardedObject, LOADER_VARIABLES, type Plan } from './types.js'

/** What a plan is found by. */
export interface PlanSubject {
  readonly kind: 'container' | 'program'
  /** The container's name, or the program's real path on the machine. */
  readonly subject: string
  /** Real paths of the directories given with `--lib`; none for a container. */
  readonly libraryDirectories: readonly string[]
  /** Of the tree that serves as the host, or null. */
  readonly root: { readonly dev: bigint; readonly ino: bigint } | null
}

/**
 * The name of the plan's file below STORE/plans. `environment` is the caller's: a plan holds for one set of values of
 * LOADER_VARIABLES. The launcher computes the same (native/launcher/request.cpp).
 */
export function planKey(of: PlanSubject, environment: Readonly<Record<string, string | undefined>>): string {
  const base = of.kind === 'container' ? of.subject : `=${fnv1a([of.subject, ...of.libraryDirectories])}`
  const root = of.root === null ? '' : `@${of.root.dev.toString(16)}:${of.root.ino.toString(16)}`
  const set = LOADER_VARIABLES.filter(name => environment[name])
  if (set.length === 0) return base + root
  return `${base}${root}~${fnv1a(set.flatMap(name => [name, environment[name] ?? '']))}`
}

/** FNV-1a of NUL-terminated strings: 64 bits as 16 hexadecimal digits. */
function fnv1a(strings: readonly string[]): string {
  let hash = 0xcbf29ce484222325n
  for (const byte of Buffer.from(strings.map(string => `${string}\0`).join(''))) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  }
  return hash.toString(16).padStart(16, '0')
}

/**
 * The bytes of the plan's file; equal plans give equal bytes. PLAN_INVALID for what the format cannot hold (a NUL in a
 * string, a relative path, more overlays than the launcher mounts).
 */
export function encodePlan(plan: Plan): Buffer {
  const out = new Encoder()
  const { header } = out
  header.writeUInt32LE(plan.uid, HEADER.uid)
  header.writeUInt32LE(plan.gid, HEADER.gid)
  header.writeUInt32LE(plan.cpuLevel, HEADER.cpuLevel)
  out.string(header, HEADER.name, plan.name, MAX_LENGTH.path)
  out.path(header, HEADER.root, plan.root)
  out.string(header, HEADER.kernelRelease, plan.kernelRelease, MAX_LENGTH.release)
  out.table('request', plan.request, (record, string) => out.string(record, 0, string, MAX_LENGTH.path))
  // The loader takes an empty variable for an unset one.
  const values = LOADER_VARIABLES.map(name => plan.loaderEnvironment[name] || null)
  out.table('loaderEnvironment', values, (record, value) => out.string(record, 0, value, MAX_LENGTH.variable))
  out.table('guards', plan.guards, (record, guard) => encodeGuard(out, record, guard))
  let firstCarried = 0
  out.table('overlays', plan.overlays, (record, overlay) => {
    out.path(record, 0, overlay.target)
    out.path(record, 8, overlay.layer)
    record.writeUInt32LE(firstCarried, 16)
    record.writeUInt32LE(overlay.carried.length, 20)
    firstCarried += overlay.carried.length
    const stray = overlay.carried.find(path => !path.startsWith(`${overlay.target}/`))
    if (stray !== undefined) throw invalid(`${stray} is not below ${overlay.target}`)
  })
  const carried = plan.overlays.flatMap(overlay => overlay.carried)
  out.table('carried', carried, (record, path) => out.path(record, 0, path))
  out.table('binds', plan.binds, (record, bind) => {
    out.path(record, 0, bind.source)
    out.path(record, 8, bind.target)
  })
  out.table('programs', plan.programs, (record, program) => {
    out.string(record, 0, program.name, MAX_LENGTH.fileName)
    out.path(record, 8, program.path)
  })
  out.table('environment', plan.environment, (record, { name, value }) => {
    if (name === '' || name.includes('=')) throw invalid(`${JSON.stringify(name)} is no name of a variable`)
    out.string(record, 0, value === null ? name : `${name}=${value}`, MAX_LENGTH.variable)
  })
  out.table('needs', plan.needs, (record, need) => out.string(record, 0, need, MAX_LENGTH.path))
  header.writeBigUInt64LE(plan.objects.dev, HEADER.objectsDev)
  out.table('objects', plan.objects.files, encodeObject)
  return out.finish()
}

function encodeGuard(out: Encoder, record: Buffer, guard: Guard): void {
  record.writeUInt32LE(GUARD_KINDS.indexOf(guard.kind), 0)
  out.path(record, 8, guard.path)
  if (guard.kind !== 'names') out.path(record, 16, guard.seenAs)
  if (guard.kind === 'absent') return
  record.writeBigUInt64LE(guard.dev, 24)
  record.writeBigUInt64LE(guard.ino, 32)
  record.writeBigInt64LE(guard.mtimeNs, 48)
  record.writeBigInt64LE(guard.ctimeNs, 56)
  if (guard.kind === 'names') {
    out.strings(record, 64, guard.names.flatMap(spelled))
    return
  }
  record.writeUInt32LE(guard.mode, 4)
  record.writeBigUInt64LE(BigInt(guard.size), 40)
}

function encodeObject(record: Buffer, object: GuardedObject): void {
  if (!isDigest(object.sha256)) throw invalid(`${JSON.stringify(object.sha256)} is no sha256`)
  record.write(object.sha256, 'hex')
  record.writeBigUInt64LE(object.ino, 32)
  record.writeBigUInt64LE(BigInt(object.size), 40)
  record.writeBigInt64LE(object.mtimeNs, 48)
  record.writeBigInt64LE(object.ctimeNs, 56)
  record.writeUInt32LE(Number(object.executable), 64)
}

/** No link has an empty text: symlink(2). */
function spelled({ name, link }: GuardedName): readonly string[] {
  const isName = name !== '' && !name.includes('/') && Buffer.byteLength(name) <= MAX_LENGTH.fileName
  if (!isName) throw invalid(`${JSON.stringify(name)} is no name of a file`)
  return [name, link ?? '']
}

/** Reads what encodePlan wrote. PLAN_INVALID for bytes that are damaged, of another version, or were never a plan. */
export function decodePlan(bytes: Uint8Array): Plan {
  const file = new Decoder(bytes)
  const loaderValues = file.table('loaderEnvironment', at => file.nullable(at, MAX_LENGTH.variable))
  if (loaderValues.length !== LOADER_VARIABLES.length) throw invalid('a loader variable is missing')
  const loaderEnvironment: Record<string, string> = {}
  for (const [index, name] of LOADER_VARIABLES.entries()) {
    const value = loaderValues[index] ?? null
    if (value !== null) loaderEnvironment[name] = value
  }
  const carried = file.table('carried', at => file.path(at))
  return {
    name: file.string(HEADER.name, MAX_LENGTH.path),
    request: file.table('request', at => file.string(at, MAX_LENGTH.path)),
    root: file.nullable(HEADER.root, MAX_LENGTH.path),
    uid: file.bytes.readUInt32LE(HEADER.uid),
    gid: file.bytes.readUInt32LE(HEADER.gid),
    kernelRelease: file.string(HEADER.kernelRelease, MAX_LENGTH.release),
    cpuLevel: file.bytes.readUInt32LE(HEADER.cpuLevel),
    loaderEnvironment,
    guards: file.table('guards', at => decodeGuard(file, at)),
    overlays: file.table('overlays', at => {
      return { target: file.path(at), layer: file.path(at + 8), carried: file.run(at + 16, carried) }
    }),
    binds: file.table('binds', at => ({ source: file.path(at), target: file.path(at + 8) })),
    programs: file.table('programs', at => ({ name: file.string(at, MAX_LENGTH.fileName), path: file.path(at + 8) })),
    environment: file.table('environment', at => {
      const variable = file.string(at, MAX_LENGTH.variable)
      const end = variable.indexOf('=')
      if (variable === '' || end === 0) throw invalid('a variable has no name')
      return end < 0
        ? { name: variable, value: null }
        : { name: variable.slice(0, end), value: variable.slice(end + 1) }
    }),
    needs: file.table('needs', at => file.string(at, MAX_LENGTH.path)),
    objects: {
      dev: file.bytes.readBigUInt64LE(HEADER.objectsDev),
      files: file.table('objects', at => decodeObject(file, at)),
    },
  }
}

function decodeGuard(file: Decoder, at: number): Guard {
  const { bytes } = file
  const kind = GUARD_KINDS[bytes.readUInt32LE(at)]
  const path = file.path(at + 8)
  if (kind === 'absent') return { kind, path, seenAs: file.nullable(at + 16, MAX_LENGTH.path) }
  const inode = {
    dev: bytes.readBigUInt64LE(at + 24),
    ino: bytes.readBigUInt64LE(at + 32),
    mtimeNs: bytes.readBigInt64LE(at + 48),
    ctimeNs: bytes.readBigInt64LE(at + 56),
  }
  if (kind === 'names') return { kind, path, names: namesOf(file.strings(at + 64)), ...inode }
  if (kind === undefined) throw invalid('a guard is of an unknown kind')
  const mode = bytes.readUInt32LE(at + 4)
  const size = Number(bytes.readBigUInt64LE(at + 40))
  return { kind, path, mode, seenAs: file.nullable(at + 16, MAX_LENGTH.path), size, ...inode }
}

function decodeObject({ bytes }: Decoder, at: number): GuardedObject {
  const executable = bytes.readUInt32LE(at + 64)
  if (executable > 1) throw invalid('an object is neither executable nor not')
  return {
    sha256: bytes.toString('hex', at, at + 32),
    executable: executable === 1,
    ino: bytes.readBigUInt64LE(at + 32),
    size: Number(bytes.readBigUInt64LE(at + 40)),
    mtimeNs: bytes.readBigInt64LE(at + 48),
    ctimeNs: bytes.readBigInt64LE(at + 56),
  }
}

function namesOf(strings: readonly string[]): readonly GuardedName[] {
  if (strings.length % 2 !== 0) throw invalid('a name has no link beside it')
  return strings.flatMap((name, at) => (at % 2 === 0 ? [{ name, link: strings[at + 1] || null }] : []))
}
