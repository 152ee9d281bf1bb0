import { join } from 'node:path'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { type Verdict, verifyGraphs } from '../../lib/launch/real-loader.js'
import { FactsCache } from '../../lib/loader/facts-cache.js'
import { memoryFileSystem } from '../../lib/loader/memory-file-system.js'
import { resolveGraph } from '../../lib/loader/resolve.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { Graph } from '../../lib/loader/types.js'
import { differenceInWords } from '../../lib/loader/verify.js'
import { temporaryDirectory } from '../support/fixtures.js'
import { EVERY_VERSION } from '../support/judge.js'
import { randomWorld } from '../support/random-world.js'
import { writeTree } from '../support/written-tree.js'

/*
 * Made-up roots of a few names that collide in every way: what is said of a file is what the root's own loader says of it, and
 * does not depend on which files were asked about before.
 */
const SEEDS = Array.from({ length: 10 }, (_, index) => 1 + index)
const dir = temporaryDirectory()
const cpu = { cpuLevel: addon().cpuLevel(), intel: addon().cpuIsIntel() }

for (const { what, loader } of EVERY_VERSION) {
  t.test(`with the loader of ${what}`, async t => {
    let compared = 0
    for (const seed of SEEDS) {
      const { tree, files, context } = randomWorld(seed, loader)
      const root = join(dir, what, `${seed}`)
      writeTree(tree, root)
      const where = { ...cpu, ...context }
      const alone = files.map(file => resolveGraph(rootFileSystem(root), file, { ...where }))
      const verdicts = await verifyGraphs(root, where, alone)
      for (const [index, graph] of alone.entries()) {
        const verdict = verdicts[index] as Verdict
        if (!isComparable(graph, verdict)) continue
        compared++
        const said = verdict.kind === 'different' ? verdict.differences.map(differenceInWords) : verdict
        t.same(said, { kind: 'same' }, `seed ${seed}: ${files[index]}`)
      }
      const shared = new FactsCache()
      const fs = memoryFileSystem(tree)
      const ask = (file: string) => resolveGraph(fs, file, where, shared)
      for (const file of files.toReversed()) ask(file)
      t.same(files.map(ask), alone, `seed ${seed}: the same after others, and of a tree in memory`)
    }
    t.ok(compared > 10 * SEEDS.length, `${compared} files`)
  })
}

/**
 * A trace is not to be relied on for a file that is a filter itself, nor where it takes an auxiliary filtee that is not there for one
 * that could have versions. Over some filters the loader breaks down.
 */
function isComparable({ objects, edges }: Graph, verdict: Verdict): boolean {
  const { auxiliaries = [], filters = [] } = objects[0]?.facts ?? {}
  if (auxiliaries.length + filters.length > 0) return false
  const asked = new Set(edges.map(({ name }) => name))
  const gone = objects.flatMap(({ facts }) => facts.auxiliaries.filter(name => !asked.has(name)))
  if (objects.some(({ facts }) => facts.verneeds.some(({ file }) => gone.includes(file)))) return false
  return verdict.kind !== 'unasked' || !['no-loader', 'unanswered'].includes(verdict.reason)
}
