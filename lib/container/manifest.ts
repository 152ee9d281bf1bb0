import { dirname } from 'node:path'
import * as v from 'valibot'
import { AppcError } from '../errors.js'
import { checkName } from '../store/refs.js'
import { isReserved } from './excluded.js'
import { manifestSchema } from './schema.js'
import type { Manifest } from './types.js'

/**
 * The manifest's bytes, which its digest is taken of. Equal manifests have equal bytes when built by the same code path. Throws
 * NAME_INVALID for a file whose path is reserved: no decoder would take it.
 */
export function encodeManifest(manifest: Manifest): Buffer {
  const reserved = manifest.files.find(({ path }) => isReserved(path))
  if (reserved !== undefined)
    throw new AppcError('NAME_INVALID', `${reserved.path} cannot be packed`, {
      because: 'appc reserves this name for itself',
      hint: 'choose another --include, or pack from outside of containers',
    })
  return Buffer.from(`${JSON.stringify(manifest)}\n`)
}

/** A manifest from bytes that nobody vouches for. Throws MANIFEST_INVALID for anything that the rest of appc could not trust. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const { output, issues } = v.safeParse(manifestSchema, parseJson(bytes), { abortEarly: true })
  if (issues !== undefined) throw invalid(`${v.getDotPath(issues[0]) ?? 'it'}: ${issues[0].message}`)
  // exactOptional's inferred types say `undefined` where the interfaces say absent; the schema admits no undefined from JSON.
  const manifest = output as Manifest
  checkName(manifest.name)
  checkFiles(manifest)
  checkEntries(manifest)
  checkPackages(manifest)
  return manifest
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error))
  }
}

/** Sorted, hence without duplicates; and nothing below a file or a link: a link `/a` and a file `/a/b` would escape the view. */
function checkFiles({ files }: Manifest): void {
  const leaves = new Set(files.filter(({ type }) => type !== 'directory').map(({ path }) => path))
  for (const [index, { path }] of files.entries()) {
    const before = files[index - 1]
    if (before !== undefined && before.path >= path) throw invalid(`${path} stands twice or in the wrong place`)
    if (isReserved(path)) throw invalid(`${path} has a name that is reserved`)
    for (let above = dirname(path); above !== '/'; above = dirname(above))
      if (leaves.has(above)) throw invalid(`${path} lies below ${above}, which is no directory`)
  }
}

function checkEntries({ entries, files }: Manifest): void {
  const byPath = new Map(files.map(file => [file.path, file]))
  const names = new Set<string>()
  for (const { name, path } of entries) {
    if (name === '' || name.includes('/') || names.has(name))
      throw invalid(`the entry name ${name} is empty, a path or taken`)
    const file = byPath.get(path)
    const end = file?.type === 'symlink' && file.end !== undefined ? byPath.get(file.end) : file
    if (end?.type !== 'file' || (end.mode & 0o111) === 0)
      throw invalid(`the entry ${name} is ${path}, which does not lead to a program among the files`)
    names.add(name)
  }
}

function checkPackages({ packages }: Manifest): void {
  const seen = new Set<string>()
  for (const { name, architecture } of packages) {
    if (seen.has(`${name}:${architecture}`)) throw invalid(`the package ${name} stands twice`)
    seen.add(`${name}:${architecture}`)
  }
}

function invalid(because: string): AppcError {
  return new AppcError('MANIFEST_INVALID', 'the manifest is not valid', {
    because,
    hint: 'it was made by another version of appc, or changed since: pack the container again',
  })
}
