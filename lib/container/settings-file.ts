import { closeSync, fstatSync, readSync } from 'node:fs'
import * as v from 'valibot'
import { AppcError } from '../errors.js'
import { unreadable } from '../loader/unreadable.js'
import { readSecretFacts, type SecretFacts } from '../store/secrets.js'
import type { Store } from '../store/store.js'
import type { Writer } from '../store/writer.js'
import { hasCode } from '../store/writing.js'
import { openSource, readSetting, takeSetting } from './setting-files.js'
import {
  checkSettingPath,
  isLostInRecords,
  isSecret,
  isSecretMode,
  MAX_SETTING_BYTES,
  type SettingFile,
  type Settings,
  whyNoVariable,
} from './settings.js'

/** The last number means nobody to chown(2), which leaves the file as it is. */
const id = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(4_294_967_294))

/** All settings of a container in one document, to be taken to another host. */
const schema = v.strictObject({
  schema: v.literal('appc.settings-file/1'),
  files: v.pipe(
    v.array(
      v.strictObject({
        path: v.string(),
        mode: v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(0o777)),
        /** In base64; null: withheld, as not everybody may read it. */
        bytes: v.nullable(
          v.pipe(
            v.string(),
            v.check(text => Buffer.byteLength(text, 'base64') <= MAX_SETTING_BYTES, 'it has more than a setting may'),
            v.check(isBase64, 'it is no base64'),
          ),
        ),
        /** Of a secret: whose it is, as far as root can give it to him. */
        owner: v.exactOptional(v.strictObject({ uid: id, gid: id })),
      }),
    ),
    v.maxLength(10_000),
  ),
  environment: v.pipe(
    v.unknown(),
    v.check(hasNoLostNames, 'no variable can be called like what all objects have'),
    v.record(v.string(), v.string()),
  ),
  state: v.array(v.string()),
})

type SettingsFile = v.InferOutput<typeof schema>

/** So many bytes are written as well as read: two settings of the largest, in base64, and much besides. */
const MAX_DOCUMENT_BYTES = 1 << 28

/** The settings as a document. Secrets are withheld unless they are asked for. Throws STORE_CORRUPT, SETTING_INVALID where it would be too large. */
export function writeSettingsFile(store: Store, settings: Settings, includeSecrets: boolean): string {
  const isTold = (file: SettingFile) => includeSecrets || !isSecret(file)
  const write = (bytesOf: (file: SettingFile) => string) => {
    const files = settings.files.map(file => ({
      path: file.path,
      mode: file.mode,
      bytes: isTold(file) ? bytesOf(file) : null,
      ...(isSecret(file) && includeSecrets ? { owner: ownerOf(readSecretFacts(store, file.secret)) } : {}),
    }))
    const { environment, state } = settings
    return `${JSON.stringify({ schema: 'appc.settings-file/1', files, environment, state }, null, 2)}\n`
  }
  // Before anything is read: more than a string holds might come together.
  const told = settings.files.filter(isTold).reduce((sum, { size }) => sum + 4 * Math.ceil(size / 3), 0)
  const size = told + Buffer.byteLength(write(() => ''))
  if (size > MAX_DOCUMENT_BYTES)
    throw new AppcError('SETTING_INVALID', 'the settings are too large for one document', {
      because: `it would have ${size} bytes, and at most ${MAX_DOCUMENT_BYTES} are taken`,
      hint: 'unset the largest files here, and set them there one by one',
    })
  return write(file => readSetting(store, file).toString('base64'))
}

function ownerOf({ uid, gid }: SecretFacts) {
  return { uid, gid }
}

/** The bytes of a document: of a file or, for `-`, of standard input. Throws FILE_MISSING, FILE_UNREADABLE, SETTING_INVALID. */
export function readDocument(file: string): Buffer {
  if (file === '-') return readToEnd(0, 'standard input')
  const fd = openSource(file)
  try {
    if (!fstatSync(fd).isFile()) throw invalid(`${file} is not a regular file`)
    return readToEnd(fd, file)
  } finally {
    closeSync(fd)
  }
}

/** Of a pipe nobody knows how much is to come. */
function readToEnd(fd: number, name: string): Buffer {
  const pieces: Buffer[] = []
  for (let size = 0; size <= MAX_DOCUMENT_BYTES; size += pieces.at(-1)?.length ?? 0) {
    const piece = Buffer.allocUnsafe(1 << 16)
    const got = readPiece(fd, piece, name)
    if (got === 0) return Buffer.concat(pieces)
    pieces.push(piece.subarray(0, got))
  }
  throw invalid(`it has more than ${MAX_DOCUMENT_BYTES} bytes`)
}

const PAUSE_MS = 10

/**
 * Whoever shares a pipe may have made it non-blocking for all: O_NONBLOCK belongs to what is open, open(2). Opened anew it would not be, but
 * a socket cannot be, and a named pipe waits for a writer, who may be gone: fifo(7).
 */
function readPiece(fd: number, piece: Buffer, name: string): number {
  for (;;)
    try {
      return readSync(fd, piece)
    } catch (error) {
      if (hasCode(error, 'EISDIR')) throw invalid(`${name} is a directory`)
      if (!hasCode(error, 'EAGAIN')) throw unreadable(name, error)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
    }
}

/** Throws SETTING_INVALID for a document that is none, or says what no setting can be. */
export function readSettingsFile(bytes: Uint8Array): SettingsFile {
  const { output, issues } = v.safeParse(schema, parse(bytes), { abortEarly: true })
  if (issues !== undefined) throw invalid(`${v.getDotPath(issues[0]) ?? 'it'}: ${issues[0].message}`)
  for (const { path } of output.files) checkSettingPath(path, 'file')
  for (const path of output.state) checkSettingPath(path, 'state')
  for (const [name, value] of Object.entries(output.environment)) checkVariable(name, value)
  if (new Set(output.files.map(({ path }) => path)).size < output.files.length) throw invalid('a path stands twice')
  return output
}

function checkVariable(name: string, value: string): void {
  const because = whyNoVariable(name, value)
  if (because !== null) throw invalid(`environment.${name.slice(0, 100)}: ${because}`)
}

/** What settings come to when this document takes their place: a secret that it withholds stays what it is here. */
export function takeSettingsFile(file: SettingsFile, current: Settings, writer: Writer): Settings {
  const files = file.files.map(({ path, mode, bytes, owner }): SettingFile => {
    const here = current.files.find(other => other.path === path)
    if (bytes !== null) {
      const source = {
        bytes: Buffer.from(bytes, 'base64'),
        mode,
        uid: owner?.uid ?? process.geteuid?.() ?? 0,
        gid: owner?.gid ?? process.getegid?.() ?? 0,
      }
      return takeSetting(writer, current, path, source)
    }
    if (here !== undefined && isSecret(here)) return here
    throw new AppcError('SETTING_INVALID', `the secret setting ${path} is withheld by the document`, {
      because: isSecretMode(mode) ? 'and there is none here yet' : 'though everybody might read it',
      hint: 'set it here first, or export with --include-secrets',
    })
  })
  const environment = Object.fromEntries(Object.entries(file.environment).sort(([a], [b]) => (a < b ? -1 : 1)))
  return {
    files: files.sort((a, b) => (a.path < b.path ? -1 : 1)),
    environment,
    state: [...new Set(file.state)].sort(),
  }
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error))
  }
}

function hasNoLostNames(environment: unknown): boolean {
  return !Object.keys(Object(environment)).some(isLostInRecords)
}

/** Not by a regular expression, which on millions of characters runs out of stack. */
function isBase64(text: string): boolean {
  return Buffer.from(text, 'base64').toString('base64') === text
}

function invalid(because: string): AppcError {
  return new AppcError('SETTING_INVALID', 'it is no document of settings', {
    because,
    hint: 'appc settings NAME export FILE makes one',
  })
}
