import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { AppcError } from '../../lib/errors.js'
import { addon } from '../../lib/launch/addon.js'
import { FactsCache } from '../../lib/loader/facts-cache.js'
import { resolveGraph } from '../../lib/loader/resolve.js'
import { openHostFile, rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { Graph } from '../../lib/loader/types.js'
import { askLoader, asTraced, missingVersions, withoutIdleLoader } from '../support/oracle.js'

/*
 * Programs and libraries as they are on this machine: exactly the loader's names, paths and order. By default some hundred;
 * SWEEP_DIRECTORIES=/usr:/opt takes all below those, SWEEP_ROOT=DIR another tree, judged by its own loader.
 */
const root = process.env.SWEEP_ROOT ?? '/'
const directories = process.env.SWEEP_DIRECTORIES?.split(':')
const prefix = root === '/' ? '' : root

/** Regular ELF programs and libraries; separate debugging files have no bytes to load. */
function* elfFiles(directory: string, recursive: boolean): Generator<string> {
  for (const entry of readdirSync(prefix + directory, { withFileTypes: true, recursive })) {
    const path = join(entry.parentPath, entry.name)
    if (!entry.isFile() || path.includes('/lib/debug/')) continue
    const file = openHostFile(path)
    const head = Buffer.alloc(18)
    const length = file.read(head, 0)
    file.close()
    if (length === 18 && head.readUInt32BE(0) === 0x7f454c46 && [2, 3].includes(head.readUInt16LE(16)))
      yield path.slice(prefix.length)
  }
}

const files =
  directories === undefined
    ? ['/usr/bin', '/usr/lib/x86_64-linux-gnu'].flatMap(directory =>
        [...elfFiles(directory, false)].filter((_, index) => index % 3 === 0),
      )
    : directories.flatMap(directory => [...elfFiles(directory, true)])

const fs = rootFileSystem(root)
const context = { cpuLevel: addon().cpuLevel(), libraryPath: [], preload: [] }
const cache = new FactsCache()

// Tap's own half minute is for a few hundred.
if (directories !== undefined) t.setTimeout(0)

t.test(`${files.length} files`, async t => {
  const differences = []
  const start = performance.now()
  const graphs = files.map(file => resolveOrNull(file))
  t.comment(`resolved in ${(performance.now() - start).toFixed(0)} ms`)
  let judged = 0
  for (const [index, graph] of graphs.entries()) {
    if (graph === null || graph.loader === null) continue
    judged++
    const difference = compare(files[index] as string, graph)
    if (difference !== null) differences.push(difference)
  }
  t.comment(`${judged} judged by the loader`)
  t.ok(judged > 100)
  t.same(differences, [])
})

/** A file that is no sound ELF file is the loader's to refuse too, but with many words; such are left out. */
function resolveOrNull(file: string): Graph | null {
  try {
    return resolveGraph(fs, file, context, cache)
  } catch (error) {
    if (error instanceof AppcError && error.code === 'ELF_MALFORMED') return null
    throw error
  }
}

function compare(file: string, graph: Graph): object | null {
  const answer = askLoader(file, { loader: graph.loader?.path as string, ...(root === '/' ? {} : { root }) })
  const fatal = graph.problems.some(({ kind }) => kind === 'unusable')
  if (answer.status !== 0) return fatal ? null : { file, status: answer.status, stderr: answer.stderr }
  const text = (list: readonly { name: string; path: string | null }[]) => ({
    found: list.filter(({ path }) => path !== null).map(({ name, path }) => `${name} => ${path}`),
    missing: [...new Set(list.filter(({ path }) => path === null).map(({ name }) => name))].sort(),
  })
  const ours = text(asTraced(graph))
  const theirs = text(withoutIdleLoader(answer.libraries, graph))
  const versions = graph.problems.filter(({ kind }) => kind === 'missing-version').length
  const same = JSON.stringify(ours) === JSON.stringify(theirs) && versions === missingVersions(answer.stderr).length
  return same ? null : { file, ours, theirs, stderr: answer.stderr }
}
