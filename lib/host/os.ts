import type { FileSystem } from '../loader/types.js'
import { readText } from './text.js'

/** ID, VERSION_ID and PRETTY_NAME of os-release(5). */
export interface OperatingSystem {
  readonly id: string
  readonly version: string
  readonly name: string
}

/** null where a root does not say what it is. */
export function readOperatingSystem(fs: FileSystem): OperatingSystem | null {
  const text = readText(fs, '/etc/os-release') ?? readText(fs, '/usr/lib/os-release')
  if (text === null) return null
  const fields = new Map(text.split('\n').flatMap(line => assignment(line)))
  const id = fields.get('ID') ?? 'linux'
  const version = fields.get('VERSION_ID') ?? ''
  return { id, version, name: fields.get('PRETTY_NAME') ?? `${id} ${version}`.trim() }
}

/** os-release is shell assignments: values may stand in either kind of quotes, with backslashes before special characters. */
function assignment(line: string): readonly (readonly [string, string])[] {
  const match = /^([A-Z_0-9]+)=(?:"(.*)"|'(.*)'|(.*))$/.exec(line.trim())
  const [, name, double, single, plain] = match ?? []
  if (name === undefined) return []
  return [[name, (double ?? single ?? plain ?? '').replace(/\\(.)/g, '$1')]]
}
