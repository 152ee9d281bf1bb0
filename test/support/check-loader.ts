import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../../lib/errors.js'
import { addon } from '../../lib/launch/addon.js'
import { type Unasked, type Verdict, verifyGraphs } from '../../lib/launch/real-loader.js'
import { FactsCache } from '../../lib/loader/facts-cache.js'
import { readLoader } from '../../lib/loader/loader.js'
import { resolveGraph } from '../../lib/loader/resolve.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { FileSystem, Graph, Loader, Problem, SearchContext } from '../../lib/loader/types.js'
import { differenceInWords } from '../../lib/loader/verify.js'

/** A file that was not compared. `foreign`: of another machine, with no loader here or none that this kernel runs. */
export interface LeftOut {
  readonly file: string
  readonly reason: 'relocatable' | 'debug' | 'malformed' | 'foreign' | Unasked
  readonly because: string
}

/**
 * What no loader of the root would load: objects yet to be linked, debugging information whose code lies elsewhere, static programs,
 * and what is another machine's.
 */
export const NO_BUSINESS: readonly LeftOut['reason'][] = ['relocatable', 'debug', 'static', 'foreign']

export type Checked = Awaited<ReturnType<typeof checkLoader>>

export interface Files {
  /** The directories to look in, with all below; absent: wherever a distribution puts programs and libraries. */
  readonly directories?: readonly string[]
  /** Only each n-th. */
  readonly each?: number
}

/** Compares the graphs of a root's ELF files with what its own loader says. */
export async function checkLoader(root: string, { directories = systemDirectories(root), each = 1 }: Files = {}) {
  const files = directories
    .flatMap(directory => [...elfFiles(root, directory)])
    .filter((_, index) => index % each === 0)
  const context = { cpuLevel: addon().cpuLevel(), libraryPath: [], preload: [] }
  const fs = rootFileSystem(root)
  const loader = readLoader(fs, LOADER)
  const start = performance.now()
  const { graphs, leftOut } = resolveAll(fs, files, context)
  const resolved = performance.now()
  const verdicts = await verifyGraphs(root, context, [...graphs.values()])
  const asked = performance.now()
  const judged = [...graphs].map(([file, graph], index) => ({ file, graph, verdict: verdicts[index] as Verdict }))
  const compared = judged.filter(({ verdict }) => verdict.kind !== 'unasked').map(({ graph }) => graph)
  const having = (kind: Problem['kind']) =>
    compared.filter(({ problems }) => problems.some(p => p.kind === kind)).length
  return {
    root,
    version: loader.version.join('.'),
    elfFiles: files.length,
    same: judged.filter(({ verdict }) => verdict.kind === 'same').length,
    different: judged.flatMap(({ file, verdict }) =>
      verdict.kind === 'different' ? [{ file, differences: verdict.differences.map(differenceInWords) }] : [],
    ),
    leftOut: [...leftOut, ...judged.flatMap(({ file, graph, verdict }) => unasked(file, graph, verdict, loader))],
    libraries: compared.reduce((sum, { objects }) => sum + objects.length - 1, 0),
    withMissingLibrary: having('missing-library'),
    withMissingVersion: having('missing-version'),
    withRefusal: having('unusable'),
    milliseconds: { resolving: resolved - start, asking: asked - resolved },
  }
}

/** Of this machine's architecture, and a Debian's. */
const LOADER = '/lib64/ld-linux-x86-64.so.2'

function resolveAll(fs: FileSystem, files: readonly ElfFile[], context: SearchContext) {
  const cache = new FactsCache()
  const leftOut: LeftOut[] = []
  const graphs = new Map<string, Graph>()
  for (const { file, type } of files) {
    if (file.startsWith('/usr/lib/debug/')) leftOut.push({ file, reason: 'debug', because: 'its code lies elsewhere' })
    else if (type === ET_REL) leftOut.push({ file, reason: 'relocatable', because: 'it is yet to be linked' })
    else {
      try {
        graphs.set(file, resolveGraph(fs, file, context, cache))
      } catch (error) {
        if (!(error instanceof AppcError)) throw error
        leftOut.push({ file, reason: 'malformed', because: error.because ?? error.message })
      }
    }
  }
  return { graphs, leftOut }
}

function unasked(file: string, { objects }: Graph, verdict: Verdict, loader: Loader): LeftOut[] {
  if (verdict.kind !== 'unasked') return []
  const facts = objects[0]?.facts
  const foreign = facts?.machine !== loader.machine || facts.class !== loader.class
  const reason = verdict.reason !== 'static' && foreign ? 'foreign' : verdict.reason
  return [{ file, reason, because: verdict.because }]
}

const ET_REL = 1

interface ElfFile {
  readonly file: string
  readonly type: number
}

/** In a merged /usr the others are links, so that each file comes once. */
function systemDirectories(root: string): string[] {
  return readdirSync(root, { withFileTypes: true })
    .filter(entry => entry.isDirectory() && /^(?:usr|s?bin|lib(?:x?32|64)?|opt)$/.test(entry.name))
    .map(({ name }) => `/${name}`)
}

/** Regular files that begin as ELF files do. */
function* elfFiles(root: string, directory: string): Generator<ElfFile> {
  const prefix = root === '/' ? '' : root
  for (const entry of readdirSync(prefix + directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const type = elfType(path)
    if (type !== null) yield { file: path.slice(prefix.length), type }
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
