import { createHash } from 'node:crypto'

/** Digits of a sha256, and a newline. */
const LENGTH = 65

/** With a last line that is the sha256 of all before it: what a flipped bit makes of a document may be another that says something sensible. */
export function withChecksum(body: string): string {
  return `${body}${checksum(body)}\n`
}

/** All before that line; null where it is not right. */
export function checkedBody(text: string): string | null {
  const body = text.slice(0, -LENGTH)
  return text.slice(-LENGTH) === `${checksum(body)}\n` ? body : null
}

function checksum(body: string): string {
  return createHash('sha256').update(body).digest('hex')
}
