import * as v from 'valibot'
import { policySchema } from '../container/policy.js'
import { elfFacts, isCanonicalPath } from '../container/schema.js'

/*
 * The shape and the bounds of a described host (lib/host/described.ts), which may come from anybody. What there is a million of is
 * checked by plain functions: each a schema of its own, they would take longer than all else together.
 */

/** A large desktop comes to some 60 MB. */
export const MAX_HOST_BYTES = 1 << 27
const MAX_ROWS = 1_000_000
const MAX_NUMBERS = 1 << 25
const MAX_NAME = 65_536

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const line = v.pipe(v.string(), v.maxLength(4096), v.check(noNul, 'holds a NUL'))
const path = v.pipe(v.string(), v.check(isPath, 'is not an absolute, normalised path'))
const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'is not a sha256'))
const errno = v.pipe(v.string(), v.regex(/^E[A-Z0-9]{1,15}$/, 'is no error of a system call'))
/** Its length comes first: of a million wrong items one is enough. */
const list = <T extends v.GenericSchema>(item: T) =>
  v.pipe(
    v.custom<unknown[]>(value => Array.isArray(value) && value.length <= MAX_ROWS, 'is no list, or too long'),
    v.array(item),
  )
const numbers = v.custom<readonly number[]>(value => isListOf(value, MAX_NUMBERS, isCount), 'is no list of numbers')
const names = v.custom<readonly string[]>(value => isListOf(value, MAX_ROWS, isName), 'is no list of names')
const texts = v.custom<readonly string[]>(
  value => isListOf(value, MAX_NUMBERS, text => typeof text === 'string' && text.length <= MAX_NAME),
  'is no list of strings',
)

const directory = v.strictObject({
  path,
  mode: v.pipe(count, v.maxValue(0o7777)),
  files: v.custom<Readonly<Record<string, readonly [number, number]>>>(
    value => isRecordOf(value, isSizeAndMode),
    'is no list of files with their sizes and modes',
  ),
  links: v.custom<Readonly<Record<string, string>>>(
    value => isRecordOf(value, text => typeof text === 'string' && text.length <= 4096 && noNul(text)),
    'is no list of links with their targets',
  ),
  others: names,
})

const start = v.strictObject({
  class: v.nullable(v.picklist([32, 64])),
  data: v.nullable(v.picklist(['little', 'big'])),
  headerVersion: count,
  osabi: count,
  abiVersion: count,
  padded: v.boolean(),
  type: count,
  machine: count,
  version: count,
})

const name = v.pipe(v.string(), v.maxLength(MAX_NAME), v.check(noNul, 'holds a NUL'))
const symbols = v.strictObject({
  kinds: list(
    v.strictObject({
      version: v.exactOptional(name),
      file: v.exactOptional(name),
      hidden: v.exactOptional(v.literal(true)),
      weak: v.exactOptional(v.literal(true)),
      copySize: v.exactOptional(count),
      objectSize: v.exactOptional(count),
    }),
  ),
  imports: numbers,
  exports: numbers,
})

const elf = v.strictObject({
  path,
  start: v.nullable(start),
  facts: v.nullable(v.strictObject(elfFacts)),
  code: v.nullable(v.picklist(['ELF_MALFORMED'])),
  because: line,
  symbols: v.union([line, symbols]),
  sha256: v.exactOptional(digest),
})

const text = v.strictObject({ at: count, text: v.string() })
const base64 = v.strictObject({
  at: count,
  base64: v.pipe(v.string(), v.regex(/^[A-Za-z0-9+/]*={0,2}$/, 'is not base64')),
})

export const hostSchema = v.strictObject({
  schema: v.literal('appc.host/1'),
  digest,
  kernel: v.strictObject({ release: line, features: v.record(line, v.nullable(line)) }),
  cpu: v.strictObject({ level: v.pipe(count, v.maxValue(4)), intel: v.boolean() }),
  modules: v.record(line, line),
  policy: policySchema,
  directories: list(directory),
  sameFiles: list(v.pipe(v.array(path), v.minLength(2), v.maxLength(MAX_ROWS))),
  closed: v.record(path, errno),
  elf: list(elf),
  strings: v.strictObject({ shared: numbers, rest: texts }),
  contents: list(v.strictObject({ path, parts: list(v.union([text, base64])) })),
})

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function noNul(text: string): boolean {
  return !text.includes('\0')
}

/** The root too. */
function isPath(text: string): boolean {
  return text === '/' || (text.length <= 4096 && isCanonicalPath(text))
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && !value.includes('/') && isCanonicalPath(`/${value}`)
}

function isSizeAndMode(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && value.every(isCount) && value[1] <= 0o7777
}

function isListOf(value: unknown, most: number, is: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length <= most && value.every(is)
}

function isRecordOf(value: unknown, is: (item: unknown) => boolean): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const entries = Object.entries(value)
  return entries.length <= MAX_ROWS && entries.every(([name, item]) => isName(name) && is(item))
}
