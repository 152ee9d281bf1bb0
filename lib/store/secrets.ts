import { createHash, randomBytes } from 'node:crypto'
import { closeSync, fchmodSync, fchownSync, lstatSync, openSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { checkedBody, withChecksum } from './checksum.js'
import { readRegular } from './regular.js'
import type { Store } from './store.js'
import { hasCode, writeDurably } from './writing.js'

/** Who may read a secret, as of the file that it was taken from. */
export interface Access {
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** What a secret is to be, beside it in the same closed directory: a digest elsewhere would let short ones be found by trying. */
export interface SecretFacts extends Access {
  /** Whose they are: those of another in their place would have a repair give one secret's bytes to the other. */
  readonly id: string
  readonly sha256: string
  readonly size: number
}

const ID = /^[0-9a-f]{32}$/
const MAX_FACTS = 4096

export function secretPath(store: Pick<Store, 'home'>, id: string): string {
  return join(store.home, 'secrets', id)
}

export function secretFactsPath(store: Pick<Store, 'home'>, id: string): string {
  return `${secretPath(store, id)}.json`
}

export function newSecretId(): string {
  return randomBytes(16).toString('hex')
}

/** Writes the two files of a secret into `directory`, readable by nobody else before they have their own mode. */
export function stageSecret(directory: string, id: string, bytes: Buffer, access: Access): void {
  const facts = factsOf(id, bytes, access)
  const [path, factsPath] = stagedSecret(directory, id)
  write(path, bytes, facts)
  write(factsPath, Buffer.from(withChecksum(`${JSON.stringify(facts)}\n`)), {
    mode: 0o600,
    uid: -1,
    gid: -1,
  })
}

/** Its bytes, and what is known of it, before it has its place. */
export function stagedSecret(directory: string, id: string): readonly [string, string] {
  return [join(directory, id), join(directory, `${id}.json`)]
}

/** These and no others: what is given as access may hold more, the bytes themselves even. */
function factsOf(id: string, bytes: Buffer, { mode, uid, gid }: Access): SecretFacts {
  return { id, mode: (mode & 0o777) | ownersOwn(), uid, gid, sha256: sha256(bytes), size: bytes.length }
}

/** Root reads whatever its mode; of anybody else the store would keep what he can neither use, check nor repair. */
function ownersOwn(): number {
  return process.geteuid?.() === 0 ? 0 : 0o400
}

function write(path: string, bytes: Buffer, { mode, uid, gid }: Access): void {
  const fd = openSync(path, 'wx', 0o600)
  try {
    writeFileSync(fd, bytes)
    // chown(2) before chmod(2), which it would undo in part; only root can give files away.
    if (process.geteuid?.() === 0 && uid >= 0) fchownSync(fd, uid, gid)
    fchmodSync(fd, mode)
  } finally {
    closeSync(fd)
  }
}

/** Whether a file in secrets/ is one of the two of a secret, by its name. */
export function isSecretFile(name: string): boolean {
  return ID.test(name.replace(/\.json$/, ''))
}

/**
 * Names of all secrets, those too of which only one of the two files is there, as whoever was killed has left it; none where the store
 * has no closed area, or it is not the caller's to enter.
 */
export function listSecrets(store: Pick<Store, 'home'>): readonly string[] {
  try {
    const names = readdirSync(join(store.home, 'secrets')).filter(isSecretFile)
    return [...new Set(names.map(name => name.replace(/\.json$/, '')))]
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EACCES')) return []
    throw error
  }
}

/** Version 2 of the layout had none. What says nothing sensible stays what it is. */
export function addChecksum(store: Store, id: string): void {
  const path = secretFactsPath(store, id)
  const text = readWithoutChecksum(path, id)
  if (text !== null) writeDurably(store, path, withChecksum(text), 0o600)
}

/** null for what is none such, or cannot be read: whoever checks the secret tells of it. */
function readWithoutChecksum(path: string, id: string): string | null {
  try {
    const text = readRegular(path, MAX_FACTS, HINT).toString()
    // With a checksum it is no JSON.
    const facts: unknown = JSON.parse(text)
    return isFacts(facts) && facts.id === id ? text : null
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof AppcError) return null
    if (error instanceof Error && 'errno' in error) return null
    throw error
  }
}

/** Throws STORE_CORRUPT. */
export function readSecretFacts(store: Pick<Store, 'home'>, id: string): SecretFacts {
  return readFactsOf(secretFactsPath(store, id), id)
}

/** The same from wherever they are. */
export function readFactsOf(path: string, id: string): SecretFacts {
  try {
    // Of a mode with one bit more a repair would let others read the secret.
    const body = checkedBody(readRegular(path, MAX_FACTS, HINT).toString())
    if (body === null) throw corrupt(path, 'it does not have its checksum')
    const facts: unknown = JSON.parse(body)
    if (isFacts(facts) && facts.id === id) return facts
    throw corrupt(path, 'it does not say what the secret is to be')
  } catch (error) {
    if (error instanceof AppcError) throw error
    throw closed(path, error) ?? corrupt(path, error instanceof Error ? error.message : String(error), error)
  }
}

/** A secret's bytes, verified. Throws STORE_CORRUPT, also where they are not the caller's to read. */
export function readSecret(store: Pick<Store, 'home'>, id: string, maxSize: number): Buffer {
  const facts = readSecretFacts(store, id)
  const path = secretPath(store, id)
  try {
    const bytes = readRegular(path, maxSize, HINT)
    if (sha256(bytes) === facts.sha256) return bytes
  } catch (error) {
    if (error instanceof AppcError) throw error
    throw closed(path, error) ?? corrupt(path, error instanceof Error ? error.message : String(error), error)
  }
  throw corrupt(path, 'its bytes are not those that were set')
}

/** Whether a secret is just this, and sound. */
export function isSecretOf(store: Pick<Store, 'home'>, id: string, bytes: Buffer, access: Access): boolean {
  try {
    const [facts, wanted] = [readSecretFacts(store, id), factsOf(id, bytes, access)]
    const keys = Object.keys(wanted) as (keyof SecretFacts)[]
    return keys.every(key => facts[key] === wanted[key]) && isSoundSecret(store, id)
  } catch (error) {
    if (error instanceof AppcError) return false
    throw error
  }
}

/** Whether a secret is as it was set: bytes, mode and owner. Throws STORE_CORRUPT where that cannot be told. */
export function isSoundSecret(store: Pick<Store, 'home'>, id: string): boolean {
  const facts = readSecretFacts(store, id)
  const stat = lstatSync(secretPath(store, id), { throwIfNoEntry: false })
  if (!stat?.isFile() || stat.size !== facts.size || (stat.mode & 0o7777) !== facts.mode) return false
  if (process.geteuid?.() === 0 && (stat.uid !== facts.uid || stat.gid !== facts.gid)) return false
  return readSecret(store, id, facts.size).length === facts.size
}

function isFacts(value: unknown): value is SecretFacts {
  if (typeof value !== 'object' || value === null) return false
  const { id, sha256, size, mode, uid, gid } = value as Record<string, unknown>
  if (typeof id !== 'string' || typeof sha256 !== 'string' || ![size, mode, uid, gid].every(Number.isSafeInteger))
    return false
  // No setuid: a repair by root gives the file this mode and owner.
  return Number(mode) >= 0 && Number(mode) <= 0o777
}

const HINT = 'set it anew: appc settings NAME set PATH FILE'

/** Of a store of somebody else's, or of the system's. */
function closed(path: string, error: unknown): AppcError | null {
  if (!hasCode(error, 'EACCES', 'EPERM')) return null
  return new AppcError('FILE_UNREADABLE', `the secret ${path} cannot be read`, {
    because: 'permission is denied',
    hint: 'try again as the owner of the store',
    cause: error,
  })
}

function corrupt(path: string, because: string, cause?: unknown): AppcError {
  return new AppcError('STORE_CORRUPT', `the store's secret ${path} is damaged`, { because, hint: HINT, cause })
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
