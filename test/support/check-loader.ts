import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../../lib/errors.js'
import { addon } from '../../lib/launch/addon.js'
import { type Unasked, type Verdict, verifyGraphs } from '../../lib/launch/real-loader.js'
import { FactsCache } from '../../lib/loader/candidate.js'
import { readLoader } from '../../lib/loader/loader.js'
import { resolveGraph } from '../../lib/loader/resolve.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { Graph } from '../../lib/loader/types.js'
import { differenceInWords } from '../../lib/loader/verify.js'

/** Why a file was not compared. The first three are no loader's business. */
export type LeftOut = 'relocatable' | 'debug' | Unasked | 'malformed'

export interface Checked {
  readonly root: string
  /** Of the loader that judged nearly all, e.g. `2.36`. */
  readonly version: string
  readonly elfFiles: number
  readonly same: number
  readonly different: readonly { readonly file: string; readonly differences: readonly string[] }[]
  readonly leftOut: readonly { readonly file: string; readonly reason: LeftOut; readonly because: string }[]
  /** What was there to be compared: files with something missing count for more than their number. */
  readonly libraries: number
  readonly withMissingLibrary: number
  readonly withMissingVersion: number
  readonly withRefusal: number
  readonly milliseconds: { readonly resolving: number; readonly asking: number }
}

/** Files that no loader would load: objects to be linked, debugging information whose code lies elsewhere, static programs. */
export const NO_BUSINESS: readonly LeftOut[] = ['relocatable', 'debug', 'static']

/** Compares the graphs of a root's ELF files (or of each n-th) with what its own loader says. */
export async function checkLoader(root: string, each = 1): Promise<Checked> {
  const files = [...elfFiles(root)].filter((_, index) => index % each === 0)
  const context = { cpuLevel: addon().cpuLevel(), libraryPath: [], preload: [] }
  const fs = rootFileSystem(root)
  const cache = new FactsCache()
  const leftOut: { file: string; reason: LeftOut; because: string }[] = []
  const graphs: { file: string; graph: Graph }[] = []
  const start = performance.now()
  for (const { file, type } of files) {
    if (file.startsWith('/usr/lib/debug/')) leftOut.push({ file, reason: 'debug', because: 'it has no code' })
    else if (type === ET_REL) leftOut.push({ file, reason: 'relocatable', because: 'it is to be linked' })
    else {
      try {
        graphs.push({ file, graph: resolveGraph(fs, file, context, cache) })
      } catch (error) {
        if (!(error instanceof AppcError)) throw error
        leftOut.push({ file, reason: 'malformed', because: error.because ?? error.message })
      }
    }
  }
  const resolved = performance.now()
  const verdicts = await verifyGraphs(
    root,
    context,
    graphs.map(({ graph }) => graph),
  )
  const asked = performance.now()
  const judged = graphs.map(({ file, graph }, index) => ({ file, graph, verdict: verdicts[index] as Verdict }))
  for (const { file, verdict } of judged) {
    if (verdict.kind === 'unasked') leftOut.push({ file, reason: verdict.reason, because: verdict.because })
  }
  const compared = judged.filter(({ verdict }) => verdict.kind !== 'unasked').map(({ graph }) => graph)
  const having = (kind: string) =>
    compared.filter(({ problems }) => problems.some(problem => problem.kind === kind)).length
  return {
    root,
    version: readLoader(fs, '/lib64/ld-linux-x86-64.so.2').version.join('.'),
    elfFiles: files.length,
    same: judged.filter(({ verdict }) => verdict.kind === 'same').length,
    different: judged.flatMap(({ file, verdict }) =>
      verdict.kind === 'different' ? [{ file, differences: verdict.differences.map(differenceInWords) }] : [],
    ),
    leftOut,
    libraries: compared.reduce((sum, { objects }) => sum + objects.length - 1, 0),
    withMissingLibrary: having('missing-library'),
    withMissingVersion: having('missing-version'),
    withRefusal: having('unusable'),
    milliseconds: { resolving: resolved - start, asking: asked - resolved },
  }
}

const ET_REL = 1

/** Regular files that begin as ELF files do, wherever a distribution puts programs and libraries; each once in a merged /usr. */
function* elfFiles(root: string): Generator<{ file: string; type: number }> {
  const prefix = root === '/' ? '' : root
  for (const top of readdirSync(root, { withFileTypes: true })) {
    if (!top.isDirectory() || !/^(?:usr|s?bin|lib(?:x?32|64)?|opt)$/.test(top.name)) continue
    for (const entry of readdirSync(join(root, top.name), { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      const type = elfType(path)
      if (type !== null) yield { file: path.slice(prefix.length), type }
    }
  }
}

function elfType(path: string): number | null {
  const head = Buffer.alloc(18)
  const descriptor = openSync(path, 'r')
  const length = readSync(descriptor, head)
  closeSync(descriptor)
  if (length < 18 || head.readUInt32BE(0) !== 0x7f454c46) return null
  return head[5] === 2 ? head.readUInt16BE(16) : head.readUInt16LE(16)
}
