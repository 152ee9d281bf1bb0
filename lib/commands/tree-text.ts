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

  constructor(private readonly coloured: boolean) {}

  /** The lines of one file's tree, each ended. A library's own needs stand once, below the line that had it loaded. */
  draw(file: string, graph: Graph, verdict: Verdict | null): string {
    const drawing = new Drawing(this, graph)
    let text = `${this.paint('file', this.visible(file))}\n${drawing.lines()}`
    if (graph.loader === null && graph.problems.length === 0)
      text += `${INDENT}no loader is involved: the file is static\n`
    for (const problem of graph.problems) text += `${this.paint('missing', visible(inWords(problem)))}\n`
    return verdict === null ? text : text + this.#verify(verdict)
  }

  /** Names come from anywhere: a control character in one must not reach the terminal. */
  visible(name: string): string {
    const known = this.#names.get(name)
    if (known !== undefined) return known
    const made = visible(name)
    this.#names.set(name, made)
    return made
  }

  paint(style: Style, text: string): string {
    return this.coloured ? styleText(COLOURS[style], text) : text
  }

  #verify(verdict: Verdict): string {
    switch (verdict.kind) {
      case 'same':
        return `${this.paint('how', 'the real loader says the same')}\n`
      case 'unasked':
        return `${this.paint('how', visible(`the real loader was not asked: ${verdict.because}`))}\n`
      case 'different':
        return verdict.differences
          .map(difference => `${this.paint('missing', visible(`not so: ${differenceInWords(difference)}`))}\n`)
          .join('')
    }
  }
}

class Drawing {
  readonly #needs: Edge[][]
  /** By object: the edge that had it loaded, the first that leads to it. */
  readonly #loading: (Edge | undefined)[] = []
  #lines = ''

  constructor(
    readonly text: TreeText,
    readonly graph: Graph,
  ) {
    this.#needs = graph.objects.map(() => [])
    for (const edge of graph.edges) {
      // Preloads are shown as the program's.
      this.#needs[Math.max(0, edge.from)]?.push(edge)
      if (edge.to > 0) this.#loading[edge.to] ??= edge
    }
  }

  lines(): string {
    // Not by recursion: a made-up chain of libraries may be longer than the stack is deep.
    const open = [{ needs: this.#needs[0] as Edge[], next: 0 }]
    for (let level = open.at(-1); level !== undefined; level = open.at(-1)) {
      const edge = level.needs[level.next++]
      if (edge === undefined) {
        open.pop()
        continue
      }
      const first = this.#loading[edge.to] === edge
      const indent = INDENT.repeat(Math.min(open.length, MAX_DEPTH))
      this.#lines += `${indent}${this.#describe(edge, first ? edge.how : 'loaded')}\n`
      if (first) open.push({ needs: this.#needs[edge.to] as Edge[], next: 0 })
    }
    return this.#lines
  }

  #describe({ from, name, to }: Edge, how: How): string {
    const { text, graph } = this
    const object = graph.objects[to]
    if (object === undefined) return text.paint('missing', `${text.visible(name)} => not found`)
    const line = `${text.visible(name)} => ${text.visible(object.path)} ${text.paint('how', `(${how})`)}`
    return graph.problems.length === 0 ? line : line + this.#missingVersions(from, name)
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
