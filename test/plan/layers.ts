import { createHash } from 'node:crypto'
import type { PackedRegular } from '../../lib/container/types.js'
import type { PlacedNode } from '../../lib/decide/types.js'
import type { Layer } from '../../lib/plan/overlays.js'
import type { Store } from '../../lib/store/store.js'
import { Writer } from '../../lib/store/writer.js'

const contents = ['one', 'two', 'three']

function regular(text: string, mode: number): PackedRegular {
  const sha256 = createHash('sha256').update(text).digest('hex')
  return { type: 'file', path: `/${text}`, package: null, mode, size: text.length, sha256 }
}

/** Puts the files of `layersFor` into a store. */
export function fill(store: Store): void {
  Writer.use(store, writer => {
    for (const text of contents) {
      const bytes = Buffer.from(text)
      const file = { size: bytes.length, read: (to: Uint8Array, at: number) => bytes.copy(to, 0, at), close: () => {} }
      writer.add(file, false)
      writer.add(file, true)
    }
    writer.commit()
  })
}

/** The top is as the host's, which others may write to; the rest is new. */
function directories(...paths: string[]): Layer['directories'] {
  const own = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
  return new Map(paths.map(path => [path, path === '' ? { mode: 0o1775, owner: own } : { mode: 0o755, owner: null }]))
}

/** Two layers with one of everything: a file under two names, one that can be executed, a link, directories, a whiteout. */
export function layersFor(): readonly Layer[] {
  const file = (text: string, mode = 0o644): PlacedNode => ({ kind: 'file', file: regular(text, mode) })
  const nodes: [string, PlacedNode][] = [
    ['alias', file('one')],
    ['deep/er/three', file('three')],
    ['empty', { kind: 'directory', mode: 0o755 }],
    ['gone', { kind: 'whiteout' }],
    ['link', { kind: 'symlink', target: 'one' }],
    ['one', file('one')],
    ['run', file('one', 0o755)],
  ]
  return [
    { target: '/usr/lib', nodes: new Map(nodes), directories: directories('', 'deep', 'deep/er', 'empty') },
    { target: '/opt', nodes: new Map([['two', file('two')]]), directories: directories('') },
  ]
}
