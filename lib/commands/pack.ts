import { resolve } from 'node:path'
import type { Container } from '../container/containers.js'
import { parseNeeds } from '../container/needs.js'
import { packContainer } from '../container/pack.js'
import { type PolicyRule, parseRule, withRule } from '../container/policy.js'
import type { Manifest } from '../container/types.js'
import { AppcError } from '../errors.js'
import { openStore } from '../launch/open-store.js'
import { type RecordedEnd, recordRun } from '../launch/record.js'
import { human, visible, visibleLines } from './report.js'

export interface PackOptions {
  readonly name: string
  readonly root: string
  readonly include: readonly string[]
  readonly withEssential: boolean
  readonly withDocumentation: boolean
  readonly withLocales: boolean
  readonly policy: readonly string[]
  readonly needs: readonly string[]
  readonly update: boolean
  readonly record: boolean
  readonly json: boolean
}

/**
 * `appc pack`: always 0, or an error. `words` are all that is no option; those after `--` (`behind`) are the command to record where
 * that is asked for, and else entries like the others.
 */
export function runPack(words: readonly string[], behind: readonly string[], options: PackOptions): number {
  const { record, json, ...selection } = options
  const command = record ? behind : []
  const entries = words.slice(0, words.length - command.length)
  if (record && command.length === 0) throw wrongRecord('there is no command after --')
  if (entries.length === 0) throw wrongRecord('no program to pack stands before --')
  const needs = parseNeeds(options.needs)
  const policy = options.policy.map(parseRule).reduce(withRule, [] as readonly PolicyRule[])
  const root = resolve(options.root)
  const store = openStore(process.env)
  let end: RecordedEnd | null = null
  const container = packContainer(
    {
      ...selection,
      policy,
      needs,
      entries,
      root,
      ...(record && {
        record: tree => {
          const run = recordRun(root, tree, command, store)
          end = run.end
          return run.recording
        },
      }),
    },
    store,
  )
  if (!json) tellEnd(command[0] ?? '', end)
  process.stdout.write(`${json ? asJson(container, end) : asText(container, end)}\n`)
  return 0
}

function wrongRecord(because: string): AppcError {
  return new AppcError('USAGE', 'nothing can be recorded', {
    because,
    hint: 'appc pack --name NAME ENTRY --record -- COMMAND ARG…',
  })
}

/** It is for the user to say whether a program that failed had opened all that it needs. */
function tellEnd(command: string, end: RecordedEnd | null): void {
  if (end === null || end.status === 0) return
  const how = end.signal === null ? `ended with status ${end.status}` : `was ended by ${end.signal}`
  process.stderr.write(`appc: ${visible(command)} ${how}; what it had opened by then is packed\n`)
}

function asJson({ name, digest, manifest }: Container, end: RecordedEnd | null): string {
  const { source, entries, packages } = manifest
  return JSON.stringify({
    schema: 'appc.pack/1',
    name,
    digest,
    source: source.os?.name ?? null,
    entries,
    packages: packages.map(({ name, version, own }) => ({ name, version, own })),
    ...totalsOf(manifest),
    recorded: end === null ? null : { ...end, ...recordedOf(manifest) },
    missing: missingOf(manifest),
  })
}

function asText({ name, digest, manifest }: Container, end: RecordedEnd | null): string {
  const { files, bytes } = totalsOf(manifest)
  const { entries, packages, source } = manifest
  const recorded = recordedOf(manifest)
  return visibleLines([
    `packed ${name} from ${source.os?.name ?? 'a tree that does not say what it is'}`,
    `digest:   ${digest}`,
    `entries:  ${entries.map(({ name, path }) => `${name} (${path})`).join(', ')}`,
    `packages: ${packages.length === 0 ? 'none' : `${packages.length} (the entries' own: ${packages.flatMap(({ name, own }) => (own ? [name] : [])).join(', ')})`}`,
    `files:    ${files}, ${human(bytes)}`,
    ...(end === null
      ? []
      : [
          `recorded: ${recorded.files} files${recorded.packages.length === 0 ? '' : ` (of ${recorded.packages.join(', ')})`}`,
        ]),
    ...missingOf(manifest).map(
      ({ by, sonames, feature }) =>
        `missing:  ${sonames.join(' or ')}, which ${by} requires${feature === null ? '' : ` for ${feature}`}`,
    ),
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

/** What a recorded run opened: how many of the files, and of which packages they are. */
function recordedOf({ files }: Manifest): { readonly files: number; readonly packages: readonly string[] } {
  const recorded = files.filter(file => file.type === 'file' && file.recorded === true)
  const packages = recorded.flatMap(file => file.package ?? [])
  return { files: recorded.length, packages: [...new Set(packages)].sort() }
}

/** Libraries without which some file does not work, as its notes say, and which the tree does not have. */
function missingOf({ files }: Manifest): readonly {
  readonly by: string
  readonly sonames: readonly string[]
  readonly feature: string | null
}[] {
  return files.flatMap(file => {
    const elf = file.type === 'file' ? file.elf : undefined
    const found = elf?.dlopened ?? {}
    const required = (elf?.dlopen ?? []).filter(({ priority }) => priority === 'required')
    return required
      .filter(({ soname }) => !soname.some(name => Object.hasOwn(found, name)))
      .map(({ soname, feature }) => ({ by: file.path, sonames: soname, feature }))
  })
}
