import { styleText } from 'node:util'
import type { Verdict } from '../launch/real-loader.js'
import type { Edge, Graph, How, Problem } from '../loader/types.js'
import { differenceInWords } from '../loader/verify.js'
import { visible } from './report.js'

/** How parts of a tree look on the terminal; on anything else, or where the user objects, they stay plain. */
type Style = 'file' | 'how' | 'missing'

const COLOURS = { file: 'bold', how: 'dim', missing: 'red' } as const
const INDENT = '  '
/** What lies deeper is not drawn any further to the right. */
const MAX_DEPTH = 200

/** Draws graphs, one after the other: what thousands of them have in common is put into words once. */
export class TreeText {
  readonly #names = new Map<string, string>()
  readonly #endings = new Map<How, string>()
  readonly #indents: string[] = []

  constructor(private readonly coloured: boolean) {}

  /** The lines of one file's tree, each ended. A library's own needs stand once, below the line that had it loaded. */
  draw(file: string, graph: Graph, verdict: Verdict | null): string {
    const parts = [this.paint('file', this.visible(file)), '\n']
    new Drawing(this, graph, parts).lines()
    if (graph.loader === null && graph.problems.length === 0)
      parts.push(INDENT, 'no loader is involved: the file is static\n')
    for (const problem of graph.problems) parts.push(this.paint('missing', visible(inWords(problem))), '\n')
    if (verdict !== null) parts.push(this.#verify(verdict))
    return parts.join('')
  }

  /** Names come from anywhere: a control character in one must not reach the terminal. */
  visible(name: string): string {
    const known = this.#names.get(name)
    if (known !== undefined) return known
    const made = visible(name)
    this.#names.set(name, made)
    return made
  }

  /** What stands behind an object's path. */
  ending(how: How): string {
    const known = this.#endings.get(how)
    if (known !== undefined) return known
    const made = ` ${this.paint('how', `(${how})`)}`
    this.#endings.set(how, made)
    return made
  }

  indent(depth: number): string {
    const steps = Math.min(depth, MAX_DEPTH)
    this.#indents[steps] ??= INDENT.repeat(steps)
    return this.#indents[steps] as string
  }

  paint(style: Style, text: string): string {
    return this.coloured ? styleText(COLOURS[style], text) : text
  }

  #verify(verdict: Verdict): string {
    switch (verdict.kind) {
      case 'same':
        return `${this.paint('how', 'the real loader says the same')}\n`
      case 'unasked':
        return `${this.paint('how', visible(`the real loader gave no verdict: ${verdict.because}`))}\n`
      case 'different':
        return verdict.differences
          .map(difference => `${this.paint('missing', visible(`not so: ${differenceInWords(difference)}`))}\n`)
          .join('')
    }
  }
}

class Drawing {
  /** By object, its edges: most have some. */
  readonly #needs: (Edge[] | undefined)[] = []
  /** By object: the edge that had it loaded, the first that leads to it. */
  readonly #loading: (Edge | undefined)[] = []

  /**
   * `parts`: the text in pieces, which are joined at last. Most are kept anyway, as names and paths: lines that are put together one
   * by one are memory that the garbage collector copies.
   */
  constructor(
    readonly text: TreeText,
    readonly graph: Graph,
    readonly parts: string[],
  ) {
    const { edges } = graph
    for (let at = 0; at < edges.length; at++) {
      const edge = edges[at] as Edge
      // Preloads are shown as the program's.
      const from = Math.max(0, edge.from)
      const needs = this.#needs[from]
      if (needs === undefined) this.#needs[from] = [edge]
      else needs.push(edge)
      if (edge.to > 0) this.#loading[edge.to] ??= edge
    }
  }

  lines(): void {
    // Not by recursion: a made-up chain of libraries may be longer than the stack is deep.
    const open = [{ needs: this.#needs[0] ?? [], next: 0 }]
    for (let level = open.at(-1); level !== undefined; level = open.at(-1)) {
      const edge = level.needs[level.next++]
      if (edge === undefined) {
        open.pop()
        continue
      }
      const first = this.#loading[edge.to] === edge
      this.#line(edge, open.length, first ? edge.how : 'loaded')
      const needs = first ? this.#needs[edge.to] : undefined
      if (needs !== undefined) open.push({ needs, next: 0 })
    }
  }

  #line({ from, name, to }: Edge, depth: number, how: How): void {
    const { text, graph, parts } = this
    const object = graph.objects[to]
    parts.push(text.indent(depth))
    if (object === undefined) {
      parts.push(text.paint('missing', `${text.visible(name)} => not found`), '\n')
      return
    }
    parts.push(text.visible(name), ' => ', text.visible(object.path), text.ending(how))
    if (graph.problems.length > 0) parts.push(this.#missingVersions(from, name))
    parts.push('\n')
  }

  #missingVersions(from: number, name: string): string {
    const by = this.graph.objects[from]?.path
    const missing = this.graph.problems.flatMap(problem =>
      problem.kind === 'missing-version' && problem.by === by && problem.file === name ? [problem.version] : [],
    )
    return missing.length === 0 ? '' : this.text.paint('missing', visible(` without ${missing.join(', ')}`))
  }
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
