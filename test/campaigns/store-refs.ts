import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/* Refs as docs/formats.md says they are, for the judge of a store: nothing here comes from lib/. */

export interface Generation {
  readonly container: string
  readonly settings: readonly Setting[]
}

export interface Setting {
  readonly path: string
  readonly size: number
  readonly mode: number
  readonly sha256?: string
  readonly secret?: string
}

interface Document {
  readonly schema: string
  readonly container: string
  readonly settings: { readonly files: readonly Setting[] }
}

const FIRST_LINE = 'appc.ref/1'

/** null for what is no ref. One of before there were generations is the digest of a manifest. */
export function generationsIn(text: string): readonly Generation[] | null {
  if (/^[0-9a-f]{64}\n$/.test(text)) return [{ container: text.trim(), settings: [] }]
  const documents = documentsIn(text)
  return documents === null
    ? null
    : documents.map(({ container, settings }) => ({ container, settings: settings.files }))
}

function documentsIn(text: string): readonly Document[] | null {
  const body = text.slice(0, -65)
  if (text.slice(-65) !== `${createHash('sha256').update(body).digest('hex')}\n`) return null
  const [first, ...lines] = body.slice(0, -1).split('\n')
  if (first !== FIRST_LINE || lines.length === 0) return null
  return lines.map(line => JSON.parse(line) as Document)
}

/** What a ref says, as it comes out each time: without the time, and with the bytes of secrets for their names. */
export function meaningOf(text: string, home: string): string {
  const documents = documentsIn(text)
  if (documents === null) return text
  return documents.map(document => JSON.stringify(document, (key, value) => steady(key, value, home))).join('\n')
}

function steady(key: string, value: unknown, home: string): unknown {
  if (key === 'made') return undefined
  if (key !== 'secret') return value
  const path = join(home, 'secrets', String(value))
  return existsSync(path) ? readFileSync(path, 'utf8') : 'a secret that is not there'
}
