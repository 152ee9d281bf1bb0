import { resolve } from 'node:path'
import { AppcError } from '../errors.js'
import { searchContext } from '../launch/machine.js'
import { FactsCache } from '../loader/facts-cache.js'
import { resolveGraph } from '../loader/resolve.js'
import { rootFileSystem } from '../loader/root-file-system.js'
import type { Edge, Graph, How, Problem } from '../loader/types.js'

export interface TreeLibrary {
  readonly name: string
  readonly path: string | null
  readonly how: How
  readonly by: string
}

/** `appc tree`: what the loader would load for each file. Returns the exit status: 1 where something is missing. */
export function runTree(files: string[], options: { json: boolean; root: string }): number {
  if (files.length === 0) throw new AppcError('USAGE', 'no file is named', { hint: 'appc tree FILE…' })
  const root = resolve(options.root)
  const fs = rootFileSystem(root)
  const context = searchContext(process.env)
  const cache = new FactsCache()
  let status = 0
  for (const file of files) {
    const path = root === '/' ? resolve(file) : resolve('/', file)
    const graph = resolveGraph(fs, path, context, cache)
    if (options.json) print(JSON.stringify(describe(file, graph)))
    else printTree(file, graph)
    if (graph.problems.some(({ kind }) => kind !== 'undecidable')) status = 1
  }
  return status
}

function describe(file: string, graph: Graph) {
  return {
    schema: 'appc.tree/1',
    file,
    interpreter: graph.loader?.path ?? null,
    libraries: librariesOf(graph),
    problems: graph.problems,
  }
}

/** Every object but the program, in load order, under the name by which it was first asked for; then what is missing. */
export function librariesOf(graph: Graph): TreeLibrary[] {
  const by = (from: number) => graph.objects[Math.max(0, from)]?.path ?? ''
  const first = loadingEdges(graph)
  const loaded = graph.objects.flatMap(({ path }, index) => {
    const edge = first.get(index)
    return edge === undefined ? [] : [{ name: edge.name, path, how: edge.how, by: by(edge.from) }]
  })
  const missing = graph.edges.filter(({ to }) => to === -1)
  return [...loaded, ...missing.map(({ name, how, from }) => ({ name, path: null, how, by: by(from) }))]
}

/** For each object but the program, the edge that had it loaded: the first that leads to it. */
function loadingEdges(graph: Graph): Map<number, Edge> {
  const edges = new Map<number, Edge>()
  for (const edge of graph.edges) if (edge.to > 0 && !edges.has(edge.to)) edges.set(edge.to, edge)
  return edges
}

/** A library's own needs stand once, below the line that had it loaded; its other lines say `loaded`. */
function printTree(file: string, graph: Graph): void {
  print(escapeControls(file))
  const loading = loadingEdges(graph)
  const descend = (from: number, depth: number): void => {
    for (const edge of graph.edges) {
      if (edge.from !== from && !(from === 0 && edge.from === -1)) continue
      const first = loading.get(edge.to) === edge
      print('  '.repeat(depth) + describeEdge(edge, first ? edge.how : 'loaded', graph))
      if (first) descend(edge.to, depth + 1)
    }
  }
  descend(0, 1)
  if (graph.loader === null && graph.problems.length === 0) print('  no loader is involved: the file is static')
  for (const problem of graph.problems) print(paint(escapeControls(inWords(problem))))
}

function describeEdge({ name, to }: Edge, how: How, graph: Graph): string {
  const object = graph.objects[to]
  if (object === undefined) return paint(escapeControls(`${name} => not found`))
  return escapeControls(`${name} => ${object.path} (${how})`)
}

function inWords(problem: Problem): string {
  switch (problem.kind) {
    case 'missing-library':
      return `${problem.name} is missing: ${problem.by} needs it`
    case 'missing-version':
      return `${problem.file} has no version ${problem.version}: ${problem.by} needs it`
    case 'unusable':
      return `${problem.path} cannot be loaded for ${problem.by}: ${problem.because}`
    case 'undecidable':
      return `${problem.by} is undecidable: ${problem.because}`
  }
}

/** Red, on a terminal whose user did not object. */
function paint(text: string): string {
  return process.stdout.isTTY && !process.env.NO_COLOR ? `\u001b[31m${text}\u001b[0m` : text
}

/** File names come from anywhere: a control character in one must not reach the terminal. */
function escapeControls(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, c => `\\u{${(c.codePointAt(0) as number).toString(16)}}`)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
