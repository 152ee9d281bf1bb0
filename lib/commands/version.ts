import { readFileSync } from 'node:fs'

/** The version of this appc, from package.json, three directories above the compiled file. */
export function version(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  const content: unknown = JSON.parse(text)
  return typeof content === 'object' && content !== null && 'version' in content ? String(content.version) : 'unknown'
}
