import type { ElfFacts } from '../elf/types.js'
import type { Candidates, FoundFile } from './candidate.js'
import type { Answer, Requester, Rules } from './search.js'
import type { Edge, Graph, How, Problem } from './types.js'

/** An object on its way into the graph. Fields that change do so while one program is assembled. */
class Node implements Requester {
  readonly path: string
  readonly facts: ElfFacts
  readonly names: string[] = []
  /** Has its place in the load order; its own needs have been followed; its index once the order is settled. */
  listed = false
  done = false
  index = -1

  constructor(
    readonly file: FoundFile,
    readonly loader: Node | null,
  ) {
    this.path = file.path
    this.facts = file.facts
  }
}

interface Step extends Omit<Edge, 'from' | 'to'> {
  readonly from: Node | null
  readonly to: Node | null
}

/** An object of a process that runs. */
export interface Started {
  readonly file: FoundFile
  readonly names: readonly string[]
  /** The index of who had it loaded, -1 for the program and the interpreter. */
  readonly loader: number
}

const NOTHING: readonly string[] = []

/** Loads one program's objects breadth-first, as _dl_map_object_deps does. */
export class Assembly {
  readonly #program: Node
  readonly #interpreter: Node
  readonly #order: Node[] = []
  readonly #byName = new Map<string, Node>()
  readonly #byFile = new Map<string, Node>()
  readonly #steps: Step[] = []
  readonly #problems: Problem[] = []
  /** How many objects were there before. */
  readonly #started: number

  /** With `started`, an assembly of what is added to a process: the program's file is its first. */
  constructor(
    program: FoundFile,
    readonly candidates: Candidates,
    readonly rules: Rules,
    readonly watched: readonly string[],
    started: readonly Started[] = [],
  ) {
    this.#started = started.length
    if (started.length > 0) {
      const nodes = this.#resume(started)
      this.#program = nodes[0] as Node
      this.#interpreter = nodes.find(({ path }) => path === candidates.loader.path) as Node
      return
    }
    this.#program = this.#add(program, program.path, null)
    this.#append(this.#program)
    const interpreter = candidates.interpreter()
    this.#interpreter = this.#add(interpreter, interpreter.path, null)
    this.#step(this.#program, interpreter.path, this.#interpreter, 'interpreter')
    if (program.facts.audits.length > 0) {
      this.#problems.push({
        kind: 'undecidable',
        by: program.path,
        because: `it names auditors (${program.facts.audits.join(', ')}), which can change any search`,
      })
    }
  }

  /** Objects that are loaded, and whose needs have been met. */
  #resume(started: readonly Started[]): Node[] {
    const nodes: Node[] = []
    const nodeAt = (index: number): Node => {
      const { file, loader } = started[index] as Started
      nodes[index] ??= new Node(file, loader === -1 ? null : nodeAt(loader))
      return nodes[index]
    }
    for (const [index, { names }] of started.entries()) {
      const node = nodeAt(index)
      node.names.push(...names)
      node.done = true
      this.#append(node)
      // The kernel mapped the program: the loader knows neither its path nor its inode (elf/rtld.c), so it is not found again.
      const known = index === 0 ? names.filter(name => name === node.facts.soname) : names
      for (const name of known) if (!this.#byName.has(name)) this.#byName.set(name, node)
      if (index > 0 && !this.#byFile.has(node.file.id)) this.#byFile.set(node.file.id, node)
    }
    return nodes
  }

  /** What one object asks for while the program runs, and what comes with it. Gives the object's index, -1 where there is none. */
  open(name: string, by: number): number {
    // musl takes every call for the program's (dlopen of ldso/dynlink.c).
    const asker = this.candidates.loader.kind === 'musl' ? this.#program : (this.#order[by] as Node)
    const node = this.#ask(asker, name, 'needed')
    if (node === null) return -1
    this.#append(node)
    this.load()
    return this.#order.indexOf(node)
  }

  /** Preloads that fail are only warned about. */
  preload(names: readonly string[]): void {
    for (const name of names) {
      const known = this.#known(name)
      if (known !== null) {
        this.#step(null, name, known, howKnown(known, this.#interpreter))
        this.#append(known)
        continue
      }
      const answer = this.rules.search(name, this.#program, 'preload')
      this.#doubt(answer, this.#program)
      const node = this.#load(name, answer, this.#program)
      if (node === null) continue
      this.#step(null, name, node, 'preload', answer)
      this.#append(node)
    }
  }

  load(): void {
    for (let at = 0; at < this.#order.length; ) {
      const node = this.#order[at] as Node
      if (node.done) {
        at++
        continue
      }
      node.done = true
      for (const name of node.facts.needed) {
        const needed = this.#need(node, name)
        if (needed !== null) this.#append(needed)
      }
      this.#loadFiltees(node)
    }
    this.#append(this.#interpreter)
  }

  /** DT_AUXILIARY and DT_FILTER: what they name comes before the filter, so that its symbols are found first. */
  #loadFiltees(node: Node): void {
    const { auxiliaries, filters } = node.facts
    if (auxiliaries.length === 0 && filters.length === 0) return
    const filtees = [
      ...auxiliaries.map(name => this.#need(node, name, 'auxiliary')),
      ...filters.map(name => this.#need(node, name)),
    ]
    for (const filtee of filtees) {
      if (filtee === null) continue
      const place = this.#order.indexOf(node)
      const known = this.#order.indexOf(filtee)
      if (known !== -1 && known <= place) continue
      if (known !== -1) this.#order.splice(known, 1)
      this.#order.splice(place, 0, filtee)
      filtee.listed = true
    }
  }

  #need(node: Node, name: string, kind: 'needed' | 'auxiliary' = 'needed'): Node | null {
    const expanded = this.rules.expand(name, node)
    if (expanded === null) {
      if (kind === 'needed')
        this.#problems.push({ kind: 'unusable', path: name, by: node.path, because: 'its tokens cannot be expanded' })
      return null
    }
    return this.#ask(node, expanded, kind)
  }

  #ask(node: Node, name: string, kind: 'needed' | 'auxiliary'): Node | null {
    const known = this.#known(name)
    if (known !== null) {
      this.#step(node, name, known, howKnown(known, this.#interpreter))
      return known
    }
    const answer = this.rules.search(name, node)
    const found = this.#load(name, answer, node)
    this.#doubt(answer, node)
    if (found === null && kind === 'auxiliary') return null
    this.#step(node, name, found, found === this.#interpreter ? 'interpreter' : answer.how, answer)
    if (answer.unusable !== null) this.#problems.push({ kind: 'unusable', ...answer.unusable, by: node.path })
    else if (found === null && answer.undecidable === null) {
      this.#problems.push({ kind: 'missing-library', name, by: node.path })
    }
    return found
  }

  #doubt({ undecidable }: Answer, { path }: Node): void {
    if (undecidable !== null) this.#problems.push({ kind: 'undecidable', by: path, because: undecidable })
  }

  #known(name: string): Node | null {
    return this.#byName.get(name) ?? (this.rules.isLoader(name) ? this.#interpreter : null)
  }

  /** The object that a search led to; one that is loaded already gets another name. */
  #load(name: string, { file }: Answer, requester: Node): Node | null {
    if (file === null) return null
    const same = this.#byFile.get(file.id)
    if (same === undefined) return this.#add(file, name, requester)
    this.#alias(same, name)
    return same
  }

  #add(file: FoundFile, name: string, loader: Node | null): Node {
    const node = new Node(file, loader)
    if (!this.#byFile.has(file.id)) this.#byFile.set(file.id, node)
    this.#alias(node, name)
    return node
  }

  #alias(node: Node, name: string): void {
    for (const answer of this.rules.answers(name, node.facts)) {
      if (!node.names.includes(answer)) node.names.push(answer)
      if (!this.#byName.has(answer)) this.#byName.set(answer, node)
    }
  }

  #append(node: Node): void {
    if (node.listed) return
    node.listed = true
    this.#order.push(node)
  }

  #step(from: Node | null, name: string, to: Node | null, how: How, answer?: Answer): void {
    this.#steps.push({ from, name, to, how, tried: answer?.tried ?? NOTHING, watched: answer?.watched ?? NOTHING })
  }

  graph(): Graph {
    for (const [index, node] of this.#order.entries()) node.index = index
    return {
      objects: this.#order.map(({ path, file, names, facts }) => ({ path, realPath: file.realPath, names, facts })),
      edges: this.#steps.map(({ from, name, to, how, tried, watched }) => ({
        from: from === null ? -1 : from.index,
        name,
        to: to === null ? -1 : to.index,
        how,
        tried,
        watched,
      })),
      loader: this.candidates.loader,
      problems: [
        ...this.#problems,
        ...this.rules.checkVersions(this.#order.slice(this.#started), name => this.#byName.get(name)?.facts ?? null),
      ],
      watched: this.watched,
    }
  }
}

function howKnown(node: Node, interpreter: Node): How {
  return node === interpreter ? 'interpreter' : 'loaded'
}
