import { statSync } from 'node:fs'
import type { Decision } from '../decide/types.js'
import { objectPath } from '../store/objects.js'
import type { Store } from '../store/store.js'

/** What would have to be brought to a host that has nothing of the container's yet. */
export interface Travel {
  /** Files of different contents; the manifest comes besides. */
  readonly files: number
  /** With the manifest. */
  readonly bytes: number
}

/** What is private there and the manifest: all else stays at home. What is equal travels once. */
export function travelOf(store: Store, digest: string, { placement }: Pick<Decision, 'placement'>): Travel {
  const sizes = new Map<string, number>()
  for (const node of placement.values()) if (node.kind === 'file') sizes.set(node.file.sha256, node.file.size)
  const manifest = statSync(objectPath(store, digest, false)).size
  return { files: sizes.size, bytes: [...sizes.values()].reduce((sum, size) => sum + size, manifest) }
}
