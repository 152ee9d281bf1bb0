import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { packContainer } from '../../lib/container/pack.js'
import { openStoreAt } from '../../lib/launch/open-store.js'
import { objectPath } from '../../lib/store/objects.js'
import type { Store } from '../../lib/store/store.js'
import { compile, temporaryDirectory } from './fixtures.js'

/** A store in a directory of its own, with the tree that its containers are packed from. */
export interface SmallStore {
  readonly store: Store
  readonly tree: string
}

/** What the containers' files hold, by path; /bin/prog is their program. */
export type Files = Readonly<Record<string, string | Buffer>>

/** An empty store that belongs to whoever runs this. */
export function smallStore(): SmallStore {
  const base = temporaryDirectory()
  const tree = join(base, 'tree')
  mkdirSync(join(tree, 'share'), { recursive: true })
  const code = 'void _start(void) { __asm__ volatile("syscall" :: "a"(60), "D"(0)); }'
  compile(tree, 'bin/prog', code, ['-static', '-nostdlib'])
  return { store: openStoreAt(join(base, 'store')), tree }
}

/** Packs the program and these files as a container; returns the digest of its manifest. */
export function packFiles({ store, tree }: SmallStore, name: string, files: Files): string {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true })
    writeFileSync(join(tree, path), content)
  }
  const common = { withEssential: false, withDocumentation: false, withLocales: false, policy: [], needs: [] }
  const include = Object.keys(files)
  return packContainer({ ...common, root: tree, name, entries: ['prog'], include }, store).digest
}

export function digestOf(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}

/** Where the object of a file that is not executable lies. */
export function objectOf({ store }: SmallStore, content: string | Buffer): string {
  return objectPath(store, digestOf(content), false)
}

/** From here on it is so much later: what changed just now is not believed to be settled. */
export function later(milliseconds = 10_000): void {
  const now = Date.now
  Date.now = () => now() + milliseconds
}
