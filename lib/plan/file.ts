import { AppcError } from '../errors.js'
import {
  GUARD_KINDS,
  HEADER,
  MAGIC,
  MAX_COUNT,
  MAX_LENGTH,
  MAX_SIZE,
  RECORD,
  type TableName,
  VERSION,
} from './layout.js'
import { type Guard, type GuardedName, LOADER_VARIABLES, type Plan } from './types.js'
import { xxHash32 } from './xxhash32.js'

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

/** No link has an empty text: symlink(2). */
function spelled({ name, link }: GuardedName): readonly string[] {
  const isName = name !== '' && !name.includes('/') && Buffer.byteLength(name) <= MAX_LENGTH.fileName
  if (!isName) throw invalid(`${JSON.stringify(name)} is no name of a file`)
  return [name, link ?? '']
}

/** Header, tables and strings as they grow; strings that are alike are written once. */
class Encoder {
  readonly header = Buffer.alloc(HEADER.end)
  readonly #tables: Buffer[] = []
  readonly #strings: Buffer[] = []
  readonly #offsets = new Map<string, number>()
  #tablesEnd = HEADER.end as number
  #stringsSize = 0

  /** String offsets are counted from the strings' begin until finish() knows where that is. */
  readonly #references: { readonly buffer: Buffer; readonly at: number }[] = []

  string(buffer: Buffer, at: number, value: string | null, maxLength: number): void {
    if (value === null) return
    const bytes = Buffer.from(`${value}\0`)
    if (bytes.indexOf(0) !== bytes.length - 1) throw invalid(`${JSON.stringify(value)} contains a NUL`)
    if (bytes.length - 1 > maxLength)
      throw invalid(`${JSON.stringify(value.slice(0, 100))}… is longer than ${maxLength} bytes`)
    this.#refer(buffer, at, bytes)
  }

  /** One after the other, each with its NUL. */
  strings(buffer: Buffer, at: number, values: readonly string[]): void {
    if (values.length === 0) throw invalid('a guard of no names')
    const stray = values.find(value => value.includes('\0') || Buffer.byteLength(value) > MAX_LENGTH.path)
    if (stray !== undefined) throw invalid(`${JSON.stringify(stray.slice(0, 100))} is too long or contains a NUL`)
    this.#refer(buffer, at, Buffer.from(values.map(value => `${value}\0`).join('')))
  }

  #refer(buffer: Buffer, at: number, bytes: Buffer): void {
    const key = bytes.toString('latin1')
    let offset = this.#offsets.get(key)
    if (offset === undefined) {
      offset = this.#stringsSize
      this.#offsets.set(key, offset)
      this.#strings.push(bytes)
      this.#stringsSize += bytes.length
    }
    buffer.writeUInt32LE(offset, at)
    buffer.writeUInt32LE(bytes.length - 1, at + 4)
    this.#references.push({ buffer, at })
  }

  path(buffer: Buffer, at: number, value: string | null): void {
    if (value !== null && !value.startsWith('/')) throw invalid(`${JSON.stringify(value)} is not an absolute path`)
    this.string(buffer, at, value, MAX_LENGTH.path)
  }

  table<Value>(name: TableName, values: readonly Value[], encode: (record: Buffer, value: Value) => void): void {
    if (values.length > MAX_COUNT[name]) {
      throw invalid(`${values.length} ${name} are more than the ${MAX_COUNT[name]} that the launcher takes`)
    }
    const size = RECORD[name]
    const table = Buffer.alloc(values.length * size)
    for (const [index, value] of values.entries()) encode(table.subarray(index * size, (index + 1) * size), value)
    this.header.writeUInt32LE(this.#tablesEnd, HEADER[name])
    this.header.writeUInt32LE(values.length, HEADER[name] + 4)
    this.#tables.push(table)
    this.#tablesEnd += table.length
  }

  finish(): Buffer {
    for (const { buffer, at } of this.#references) buffer.writeUInt32LE(buffer.readUInt32LE(at) + this.#tablesEnd, at)
    const size = this.#tablesEnd + this.#stringsSize
    if (size > MAX_SIZE) throw invalid(`it takes ${size} bytes; ${MAX_SIZE} is the limit`)
    this.header.write(MAGIC, 'latin1')
    this.header.writeUInt32LE(VERSION, HEADER.version)
    this.header.writeUInt32LE(size, HEADER.size)
    const bytes = Buffer.concat([this.header, ...this.#tables, ...this.#strings])
    bytes.writeUInt32LE(xxHash32(bytes.subarray(HEADER.size)), HEADER.checksum)
    return bytes
  }
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

function namesOf(strings: readonly string[]): readonly GuardedName[] {
  if (strings.length % 2 !== 0) throw invalid('a name has no link beside it')
  return strings.flatMap((name, at) => (at % 2 === 0 ? [{ name, link: strings[at + 1] || null }] : []))
}

/** The file's bytes; every offset is checked where it is followed. */
class Decoder {
  readonly bytes: Buffer

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    if (bytes.length < HEADER.end || bytes.length > MAX_SIZE) throw invalid(`${bytes.length} bytes cannot be a plan`)
    if (this.bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) throw invalid('it does not begin as a plan does')
    const version = this.bytes.readUInt32LE(HEADER.version)
    if (version !== VERSION) throw invalid(`it has version ${version}; this appc reads version ${VERSION}`)
    if (this.bytes.readUInt32LE(HEADER.size) !== bytes.length)
      throw invalid('it is cut short or has bytes after its end')
    if (this.bytes.readUInt32LE(HEADER.checksum) !== xxHash32(this.bytes.subarray(HEADER.size)))
      throw invalid('its checksum is wrong')
  }

  table<Value>(name: TableName, decode: (at: number) => Value): Value[] {
    const offset = this.bytes.readUInt32LE(HEADER[name])
    const count = this.bytes.readUInt32LE(HEADER[name] + 4)
    const size = RECORD[name]
    const fits = offset % 8 === 0 && offset >= HEADER.end && offset + count * size <= this.bytes.length
    if (!fits || count > MAX_COUNT[name]) throw invalid(`its table of ${name} runs past its end`)
    return Array.from({ length: count }, (_, index) => decode(offset + index * size))
  }

  /** The part of another table's values that a record says by its first and their count. */
  run(at: number, values: readonly string[]): readonly string[] {
    const first = this.bytes.readUInt32LE(at)
    const end = first + this.bytes.readUInt32LE(at + 4)
    if (end > values.length) throw invalid('a record refers to more than there is')
    return values.slice(first, end)
  }

  string(at: number, maxLength: number): string {
    const offset = this.bytes.readUInt32LE(at)
    const length = this.bytes.readUInt32LE(at + 4)
    const fits = offset >= HEADER.end && offset + length < this.bytes.length && length <= maxLength
    if (!fits || this.bytes.indexOf(0, offset) !== offset + length) throw invalid('a string runs past its end')
    return this.bytes.toString('utf8', offset, offset + length)
  }

  /** One after the other, each with its NUL. */
  strings(at: number): readonly string[] {
    const offset = this.bytes.readUInt32LE(at)
    const end = offset + this.bytes.readUInt32LE(at + 4)
    const fits = offset >= HEADER.end && end < this.bytes.length && this.bytes.readUInt8(end) === 0
    if (!fits) throw invalid('strings run past its end')
    return this.bytes.toString('utf8', offset, end).split('\0')
  }

  path(at: number): string {
    const path = this.string(at, MAX_LENGTH.path)
    if (!path.startsWith('/')) throw invalid('a path is not absolute')
    return path
  }

  /** Null where the offset is 0. */
  nullable(at: number, maxLength: number): string | null {
    return this.bytes.readBigUInt64LE(at) === 0n ? null : this.string(at, maxLength)
  }
}

function invalid(because: string): AppcError {
  return new AppcError('PLAN_INVALID', 'the plan file is not valid', { because })
}
