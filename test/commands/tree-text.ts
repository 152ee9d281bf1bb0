import t from 'tap'
import { TreeText } from '../../lib/commands/tree-text.js'
import { memoryFileSystem } from '../../lib/loader/memory-file-system.js'
import { resolveGraph } from '../../lib/loader/resolve.js'
import type { Graph, LoadedObject } from '../../lib/loader/types.js'
import { library } from '../../lib/testing/build-elf.js'

t.test('a chain of libraries longer than the stack is deep is drawn, and not ever further to the right', async t => {
  const fs = memoryFileSystem({ '/x': { bytes: library() } })
  const context = { cpuLevel: 1, intel: false, libraryPath: [], preload: [] }
  const [object] = resolveGraph(fs, '/x', context).objects as [LoadedObject]
  const length = 20_000
  const graph: Graph = {
    objects: Array.from({ length }, (_, index) => ({ ...object, path: `/l${index}` })),
    edges: Array.from({ length: length - 1 }, (_, from) => {
      const name = `l${from + 1}`
      return { from, name, to: from + 1, how: 'runpath' as const, tried: [], watched: [] }
    }),
    loader: null,
    problems: [{ kind: 'undecidable', by: '/l0', because: 'it is made up' }],
    watched: [],
  }
  const lines = new TreeText(false).draw('/l0', graph, null).trimEnd().split('\n')
  t.equal(lines.length, length + 1)
  t.equal(lines[0], '/l0')
  t.equal(lines[3], '      l3 => /l3 (runpath)')
  t.equal(lines[length - 1]?.trimStart(), `l${length - 1} => /l${length - 1} (runpath)`)
  t.ok((lines[length - 1]?.length ?? 0) < 1000)
})
