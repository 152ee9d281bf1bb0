import { isUtf8 } from 'node:buffer'
import type { DlopenNote, PackageMetadata } from './types.js'

/**
 * The payloads of notes whose owner is FDO (freedesktop.org): JSON that ends in a NUL. Each function throws Unreadable where
 * a payload is not what its specification says.
 */
export const OWNER = 'FDO\0'
export const NT_DLOPEN = 0x407c0c0a
export const NT_PACKAGE = 0xcafe1a7e

/** Why a note says nothing: not an error of the file, which loads as well without it. */
export class Unreadable extends Error {}

/** UAPI.12, dlopen() Metadata for ELF Files: an array with an object for each library. Keys that it does not name are passed over. */
export function parseDlopen(payload: Buffer): DlopenNote[] {
  const value = parseJson(payload)
  if (!Array.isArray(value)) throw new Unreadable('it is no array')
  return value.map(entry => {
    if (!isObject(entry)) throw new Unreadable('it holds what is no object')
    const { soname, feature, description, priority = 'recommended' } = entry
    if (!Array.isArray(soname) || soname.length === 0 || !soname.every(isText))
      throw new Unreadable('an entry has no sonames')
    if (priority !== 'required' && priority !== 'recommended' && priority !== 'suggested')
      throw new Unreadable('an entry has an unknown priority')
    return { soname, feature: textOrNull(feature), description: textOrNull(description), priority }
  })
}

/** UAPI.8, Package Metadata for Executable Files: an object. All keys it names are texts; of others, those that are texts are kept. */
export function parsePackage(payload: Buffer): PackageMetadata {
  const value = parseJson(payload)
  if (!isObject(value)) throw new Unreadable('it is no object')
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string] => entry.every(isText)))
}

function parseJson(payload: Buffer): unknown {
  const end = payload.indexOf(0)
  const text = end === -1 ? payload : payload.subarray(0, end)
  if (!isUtf8(text)) throw new Unreadable('it is not UTF-8')
  try {
    return JSON.parse(text.toString())
  } catch (error) {
    // The words of the parser differ from one version of Node to the next, and facts must not.
    throw new Unreadable('it is no JSON', { cause: error })
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Both specifications forbid control characters, which JSON would let through as escapes. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && !/\p{Cc}/u.test(value)
}

function textOrNull(value: unknown): string | null {
  return isText(value) ? value : null
}
