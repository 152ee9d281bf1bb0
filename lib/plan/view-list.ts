import { createHash } from 'node:crypto'
import { basename, join } from 'node:path'
import * as v from 'valibot'
import { isExecutable } from '../container/containers.js'
import { isReserved } from '../container/excluded.js'
import { AppcError } from '../errors.js'
import { parent } from '../loader/file-system.js'
import { isDigest } from '../store/objects.js'
import { readRegular } from '../store/regular.js'
import { VIEW_LIST } from '../upkeep/users.js'
import type { Attributes, Layer } from './overlays.js'
import type { LaidNode } from './settings.js'

/** What belongs into one layer of a view. */
export interface ListedLayer {
  readonly target: string
  /** Every directory, '' for its top, parents first. */
  readonly directories: ReadonlyMap<string, Attributes>
  /** All else. */
  readonly nodes: ReadonlyMap<string, ListedNode>
}

export type ListedNode =
  | { readonly kind: 'file'; readonly sha256: string; readonly executable: boolean }
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'whiteout' }
  | { readonly kind: 'secret'; readonly id: string }
  | { readonly kind: 'closed' }

/** Lines of JSON: for each layer its target and directories, then what lies in them (docs/formats.md, "Store"). */
export function listOf(layers: readonly Layer[]): string {
  const lines = layers.flatMap(({ target, nodes, directories }) => [
    [target, ...directories],
    ...[...nodes].map(([path, node]) => [path, spell(node)]),
  ])
  return lines.map(line => `${JSON.stringify(line)}\n`).join('')
}

function spell(node: LaidNode): readonly (string | boolean)[] {
  switch (node.kind) {
    case 'file':
      return [node.kind, node.file.sha256, isExecutable(node.file.mode)]
    case 'secret':
      return [node.kind, node.id]
    case 'symlink':
      return [node.kind, node.target]
    default:
      return [node.kind]
  }
}

/** The name of the view with this list: the same decision has the same view. */
export function nameOfView(list: string | Uint8Array): string {
  return createHash('sha256').update(list).digest('hex').slice(0, 32)
}

export function listedLayers(layers: readonly Layer[]): readonly ListedLayer[] {
  return layers.map(({ target, nodes, directories }) => {
    const listed = [...nodes].flatMap(([path, node]) =>
      node.kind === 'directory' ? [] : [[path, listedNode(node)] as const],
    )
    return { target, directories, nodes: new Map(listed) }
  })
}

function listedNode(node: Exclude<LaidNode, { readonly kind: 'directory' }>): ListedNode {
  return node.kind === 'file'
    ? { kind: 'file', sha256: node.file.sha256, executable: isExecutable(node.file.mode) }
    : node
}

/** A hundred thousand files under long paths. */
export const MAX_LIST = 64 << 20

/** The list of the view in this directory. STORE_CORRUPT where there is none, or not the one that the view is named by. */
export function readViewList(directory: string): readonly ListedLayer[] {
  const path = join(directory, VIEW_LIST)
  let bytes: Buffer
  try {
    bytes = readRegular(path, MAX_LIST, HINT)
  } catch (error) {
    throw error instanceof AppcError ? error : damaged(path, String(error), error)
  }
  if (nameOfView(bytes) !== basename(directory)) throw damaged(path, 'it is not the one that its view is named by')
  return decode(path, bytes.toString('utf8'))
}

const relative = v.pipe(
  v.string(),
  v.check(path => !path.includes('\0') && path.split('/').every(part => !['', '.', '..'].includes(part))),
  v.check(path => !isReserved(path)),
)
const number = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const attributes = v.strictObject({
  mode: v.pipe(number, v.maxValue(0o7777)),
  owner: v.nullable(v.strictObject({ uid: number, gid: number })),
})
const top = v.strictTuple([v.literal(''), attributes])
const head = v.tupleWithRest([v.pipe(v.string(), v.startsWith('/')), top], v.strictTuple([relative, attributes]))
const line = v.strictTuple([
  relative,
  v.union([
    v.strictTuple([v.literal('file'), v.pipe(v.string(), v.check(isDigest)), v.boolean()]),
    v.strictTuple([
      v.literal('symlink'),
      v.pipe(
        v.string(),
        v.check(text => text !== '' && !text.includes('\0')),
      ),
    ]),
    v.strictTuple([v.literal('secret'), v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))]),
    v.strictTuple([v.literal('whiteout')]),
    v.strictTuple([v.literal('closed')]),
    v.strictTuple([v.literal('directory')]),
  ]),
])

function decode(path: string, text: string): readonly ListedLayer[] {
  const layers: { target: string; directories: Map<string, Attributes>; nodes: Map<string, ListedNode> }[] = []
  try {
    for (const each of text.split('\n').slice(0, -1)) {
      const json: unknown = JSON.parse(each)
      if (Array.isArray(json) && String(json[0]).startsWith('/')) {
        const [target, ...directories] = v.parse(head, json)
        layers.push({ target, directories: new Map(directories), nodes: new Map() })
      } else add(layers.at(-1), v.parse(line, json))
    }
  } catch (error) {
    throw damaged(path, 'a line of it is none of a view’s', error)
  }
  return layers
}

function add(
  layer: { directories: ReadonlyMap<string, Attributes>; nodes: Map<string, ListedNode> } | undefined,
  [path, node]: v.InferOutput<typeof line>,
): void {
  const directory = path.includes('/') ? parent(path) : ''
  if (layer?.directories.has(directory) !== true) throw new Error(`${path} has no directory`)
  if (node[0] === 'file') layer.nodes.set(path, { kind: 'file', sha256: node[1], executable: node[2] })
  else if (node[0] === 'symlink') layer.nodes.set(path, { kind: 'symlink', target: node[1] })
  else if (node[0] === 'secret') layer.nodes.set(path, { kind: 'secret', id: node[1] })
  else if (node[0] !== 'directory') layer.nodes.set(path, { kind: node[0] })
}

const HINT = 'it is made anew when the container is planned for the next time'

function damaged(path: string, because: string, cause?: unknown): AppcError {
  return new AppcError('STORE_CORRUPT', `the view's list ${path} is damaged`, { because, hint: HINT, cause })
}
