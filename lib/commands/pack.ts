import { resolve } from 'node:path'
import type { Container } from '../container/containers.js'
import { packContainer } from '../container/pack.js'
import { type PolicyRule, parseRule, withRule } from '../container/policy.js'
import type { Manifest } from '../container/types.js'
import { openStore } from '../launch/open-store.js'
import { human, visibleLines } from './report.js'

export interface PackOptions {
  readonly name: string
  readonly root: string
  readonly include: readonly string[]
  readonly withEssential: boolean
  readonly withDocumentation: boolean
  readonly withLocales: boolean
  readonly policy: readonly string[]
  readonly json: boolean
}

/** `appc pack`: always 0, or an error. */
export function runPack(entries: readonly string[], options: PackOptions): number {
  const policy = options.policy.map(parseRule).reduce(withRule, [] as readonly PolicyRule[])
  const request = { ...options, policy, entries, root: resolve(options.root) }
  const container = packContainer(request, openStore(process.env))
  process.stdout.write(`${options.json ? asJson(container) : asText(container)}\n`)
  return 0
}

function asJson({ name, digest, manifest }: Container): string {
  const { source, entries, packages } = manifest
  return JSON.stringify({
    schema: 'appc.pack/1',
    name,
    digest,
    source: source.os?.name ?? null,
    entries,
    packages: packages.map(({ name, version, own }) => ({ name, version, own })),
    ...totalsOf(manifest),
  })
}

function asText({ name, digest, manifest }: Container): string {
  const { files, bytes } = totalsOf(manifest)
  const { entries, packages, source } = manifest
  return visibleLines([
    `packed ${name} from ${source.os?.name ?? 'a tree that does not say what it is'}`,
    `digest:   ${digest}`,
    `entries:  ${entries.map(({ name, path }) => `${name} (${path})`).join(', ')}`,
    `packages: ${packages.length === 0 ? 'none' : `${packages.length} (the entries' own: ${packages.flatMap(({ name, own }) => (own ? [name] : [])).join(', ')})`}`,
    `files:    ${files}, ${human(bytes)}`,
  ])
}

/** Files and links, and the bytes of the files; directories do not count. */
export function totalsOf({ files }: Manifest): { readonly files: number; readonly bytes: number } {
  const counted = files.filter(({ type }) => type !== 'directory')
  return {
    files: counted.length,
    bytes: counted.reduce((sum, file) => sum + (file.type === 'file' ? file.size : 0), 0),
  }
}
