import type { Candidates, FoundFile } from './candidate.js'
import { type Need, type Node, Nodes, type Slot, type VersionNeed } from './nodes.js'
import type { Answer, Rules } from './search.js'
import type { Edge, Graph, How, LoadedObject, Problem } from './types.js'
import { atLeast } from './version.js'
import { missingVersions } from './versions.js'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

const NOTHING: readonly string[] = []

/** An object of a process that runs. */
export interface Started {
  readonly file: FoundFile
  readonly names: readonly string[]
  /** The index of who had it loaded, -1 for the program and the interpreter. */
  readonly loader: number
}

/** What the programs of one root, context and interpreter have in common. */
export class Assembler {
  #run = 0
  readonly nodes: Nodes

  constructor(
    readonly candidates: Candidates,
    readonly rules: Rules,
  ) {
    this.nodes = new Nodes(rules)
  }

  /** The graph of a program whose preloads have these names; `watched`: what it rests on beside its edges. */
  assemble(program: FoundFile, preloads: readonly string[], watched: readonly string[]): Graph {
    const assembly = new Assembly(this, ++this.#run, program)
    assembly.preload(preloads)
    assembly.load()
    return assembly.graph(watched)
  }

  /** The graph of a process after one of its objects has called dlopen, and the index of what that led to; -1 where to nothing. */
  open(started: readonly Started[], caller: number, name: string): { readonly graph: Graph; readonly object: number } {
    const assembly = new Assembly(this, ++this.#run, started)
    const object = assembly.open(caller, name)
    return { graph: assembly.graph([]), object }
  }
}

/**
 * Loads one program's objects breadth-first, as _dl_map_object_deps does. Loops count by themselves here where each of thousands of
 * programs comes through them: code that V8 has not optimized makes an object for every step of for…of.
 */
class Assembly {
  readonly #program: Node
  readonly #interpreter: Node
  readonly #nodes: Node[] = []
  readonly #order: Node[] = []
  /** `from` and `to` are the nodes' numbers until the order is settled. */
  readonly #edges: Mutable<Edge>[] = []
  readonly #problems: Problem[] = []
  readonly #musl: boolean
  /** How many objects were there before. */
  readonly #started: number

  constructor(
    readonly assembler: Assembler,
    readonly run: number,
    first: FoundFile | readonly Started[],
  ) {
    this.#musl = assembler.candidates.loader.kind === 'musl'
    const { loader } = assembler.candidates
    this.#started = 'length' in first ? first.length : 0
    if ('length' in first) {
      this.#resume(first)
      this.#program = this.#nodes[0] as Node
      this.#interpreter = this.#nodes.find(({ path }) => path === loader.path) as Node
      return
    }
    this.#program = this.#node(first, first.path, null)
    this.#fillProgram(this.#program)
    this.#append(this.#program)
    const interpreter = assembler.candidates.interpreter()
    this.#interpreter = this.#add(interpreter, interpreter.path, null)
    this.#edge(this.#program, interpreter.path, this.#interpreter, 'interpreter')
    this.#askAuditors(first)
  }

  #askAuditors(program: FoundFile): void {
    if (program.facts.audits.length > 0 && !this.#musl) {
      this.#problems.push({
        kind: 'undecidable',
        by: program.path,
        because: `it names auditors (${program.facts.audits.join(', ')}), which can change any search`,
      })
    }
  }

  /** Objects that are loaded, and whose needs have been met. */
  #resume(started: readonly Started[]): void {
    const nodeAt = (index: number): Node => {
      const { file, names, loader } = started[index] as Started
      const known = this.#nodes[index]
      if (known !== undefined) return known
      const node = this.assembler.nodes.of(file)
      node.begin(loader === -1 ? null : nodeAt(loader), index, names)
      this.#nodes[index] = node
      return node
    }
    for (const index of started.keys()) {
      const node = nodeAt(index)
      node.done = true
      this.#append(node)
      if (index === 0) {
        this.#fillProgram(node)
        continue
      }
      this.#fill(this.assembler.nodes.identity(node.file), node)
      for (const name of node.names) {
        const slot = this.assembler.nodes.name(name)
        this.#fill(slot, node)
        slot.asked = this.run
      }
    }
  }

  /**
   * The loader keeps neither the program's path nor its inode (elf/rtld.c, whether the kernel mapped it or the loader did), so it is
   * not found again but by its soname. To musl it is no library at all.
   */
  #fillProgram(program: Node): void {
    const { soname } = program.facts
    if (!this.#musl && soname !== null) this.#fill(this.assembler.nodes.name(soname), program)
  }

  /** What one object asks for while the program runs, and what comes with it. */
  open(caller: number, name: string): number {
    // musl takes every call for the program's (dlopen of ldso/dynlink.c).
    const asker = this.#musl ? this.#program : (this.#nodes[caller] as Node)
    const node = this.#ask(asker, name, this.assembler.nodes.name(name), false)
    if (node === null) return -1
    this.#append(node)
    this.load()
    return this.#order.indexOf(node)
  }

  /** Preloads that fail are only warned about. */
  preload(names: readonly string[]): void {
    // glibc loads them for the program, musl for nobody: no RPATH counts but their own.
    const requester = this.#musl ? this.#interpreter : this.#program
    for (const name of names) {
      const slot = this.assembler.nodes.name(name)
      const known = this.#known(name, slot)
      const answer = known === null ? this.assembler.rules.search(name, requester, 'preload') : null
      if (answer !== null) this.#doubt(answer, requester)
      const node = answer === null ? known : this.#load(name, answer, requester)
      if (node === null) continue
      slot.asked = this.run
      this.#edge(null, name, node, answer === null ? this.#howKnown(node) : 'preload', answer)
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
      const { needed: needs } = node.loadable
      for (let i = 0; i < needs.length; i++) {
        const needed = this.#need(node, needs[i] as Need, false)
        if (needed !== null) this.#append(needed)
      }
      this.#loadFiltees(node)
    }
    this.#append(this.#interpreter)
  }

  /** DT_AUXILIARY and DT_FILTER: what they name comes before the filter, so that its symbols are found first. musl has none. */
  #loadFiltees(node: Node): void {
    const { auxiliaries, filters } = node.loadable
    if (this.#musl || (auxiliaries.length === 0 && filters.length === 0)) return
    const filtees = [
      ...auxiliaries.map(need => this.#need(node, need, true)),
      ...filters.map(need => this.#need(node, need, false)),
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

  #need(node: Node, { text, name, slot }: Need, optional: boolean): Node | null {
    if (name === null) {
      const because = 'its tokens cannot be expanded'
      if (!optional) this.#problems.push({ kind: 'unusable', path: text, by: node.path, because })
      return null
    }
    return this.#ask(node, name, slot, optional)
  }

  #ask(node: Node, name: string, slot: Slot, optional: boolean): Node | null {
    const known = this.#known(name, slot)
    if (known !== null) {
      slot.asked = this.run
      this.#edge(node, name, known, this.#howKnown(known))
      return known
    }
    const answer = this.assembler.rules.search(name, node)
    const found = this.#load(name, answer, node)
    this.#doubt(answer, node)
    if (found === null && optional) return null
    if (found !== null) slot.asked = this.run
    this.#edge(node, name, found, found === this.#interpreter ? 'interpreter' : answer.how, answer)
    if (answer.unusable !== null) this.#problems.push({ kind: 'unusable', ...answer.unusable, by: node.path })
    else if (found === null && answer.undecidable === null) {
      this.#problems.push({ kind: 'missing-library', name, by: node.path })
    }
    return found
  }

  #doubt({ undecidable }: Answer, { path }: Node): void {
    if (undecidable !== null) this.#problems.push({ kind: 'undecidable', by: path, because: undecidable })
  }

  #known(name: string, slot: Slot): Node | null {
    return this.assembler.rules.isLoader(name) ? this.#interpreter : this.#current(slot)
  }

  #howKnown(node: Node): How {
    return node === this.#interpreter ? 'interpreter' : 'loaded'
  }

  #current(slot: Slot): Node | null {
    return slot.run === this.run ? slot.node : null
  }

  /** The first to come keeps a name. */
  #fill(slot: Slot, node: Node): void {
    if (slot.run === this.run) return
    slot.run = this.run
    slot.node = node
  }

  #fillAll(slots: readonly Slot[], node: Node): void {
    for (let i = 0; i < slots.length; i++) this.#fill(slots[i] as Slot, node)
  }

  /** The object that a search led to; one that is loaded already gets another name. */
  #load(name: string, { file }: Answer, requester: Node): Node | null {
    if (file === null) return null
    const same = this.#current(this.assembler.nodes.identity(file))
    if (same === null) return this.#add(file, name, requester)
    this.#alias(same, name)
    return same
  }

  #add(file: FoundFile, name: string, loader: Node | null): Node {
    const node = this.#node(file, name, loader)
    this.#fill(this.assembler.nodes.identity(file), node)
    this.#fillAll(this.assembler.nodes.answers(node, name).slots, node)
    return node
  }

  #node(file: FoundFile, name: string, loader: Node | null): Node {
    const node = this.assembler.nodes.of(file)
    node.begin(loader, this.#nodes.length, this.assembler.nodes.answers(node, name).names)
    this.#nodes.push(node)
    return node
  }

  #alias(node: Node, name: string): void {
    if (node.names.length > 0 && !this.assembler.rules.givesMoreNames) return
    const { names, slots } = this.assembler.nodes.answers(node, name)
    node.names = [...new Set([...node.names, ...names])]
    this.#fillAll(slots, node)
  }

  #append(node: Node): void {
    if (node.listed) return
    node.listed = true
    this.#order.push(node)
  }

  #edge(from: Node | null, name: string, to: Node | null, how: How, answer: Answer | null = null): void {
    this.#edges.push({
      from: from === null ? -1 : from.number,
      name,
      to: to === null ? -1 : to.number,
      how,
      tried: answer === null ? NOTHING : answer.tried,
      watched: answer === null ? NOTHING : answer.watched,
    })
  }

  graph(watched: readonly string[]): Graph {
    const filtees = this.#order.indexOf(this.#program)
    // What comes before the program is not looked at (elf/rtld.c: _dl_check_all_versions begins with the program).
    for (let at = filtees + this.#started; at < this.#order.length; at++) this.#checkVersions(this.#order[at] as Node)
    if (filtees > 0) this.#putProgramFirst(filtees)
    const objects: LoadedObject[] = []
    for (let index = 0; index < this.#order.length; index++) {
      const node = this.#order[index] as Node
      const { path, realPath, facts } = node.file
      node.index = index
      objects.push({ path, realPath, names: node.names, facts })
    }
    for (let at = 0; at < this.#edges.length; at++) {
      const edge = this.#edges[at] as Mutable<Edge>
      edge.from = this.#nodes[edge.from]?.index ?? -1
      edge.to = this.#nodes[edge.to]?.index ?? -1
    }
    this.#forgetProgram()
    const { loader } = this.assembler.candidates
    const graph = { objects, edges: this.#edges, loader, problems: this.#problems, watched }
    return filtees > 0 ? { ...graph, filtees } : graph
  }

  /** The slot of its soname is kept, and with it would be all that is known of a program. Libraries keep just their last one's. */
  #forgetProgram(): void {
    const { soname } = this.#program.facts
    if (soname === null) return
    const slot = this.assembler.nodes.name(soname)
    if (slot.node === this.#program) slot.node = null
  }

  #putProgramFirst(filtees: number): void {
    const { path } = this.#program
    this.#order.unshift(...this.#order.splice(filtees, 1))
    // "Assertion `map->l_searchlist.r_list[0] == map' failed!" (elf/dl-deps.c) in 2.31, no more in 2.36.
    if (atLeast(this.assembler.candidates.loader, 36)) return
    this.#problems.push({ kind: 'unusable', path, by: path, because: 'it is a program that is a filter' })
  }

  /** Thousands of programs have the same provider for the same need: who has all that is needed is known. */
  #checkVersions(node: Node): void {
    const { versions: needs } = node.loadable
    for (let i = 0; i < needs.length; i++) {
      const need = needs[i] as VersionNeed
      const provider = this.#providerOf(need)
      if (provider === null) this.#refuseVersions(node, need)
      if (provider === null || need.satisfiedBy === provider.facts) continue
      const missing = missingVersions(need.versions, provider.facts)
      if (missing.length === 0) need.satisfiedBy = provider.facts
      for (const version of missing) {
        this.#problems.push({ kind: 'missing-version', file: need.text, version, by: node.path })
      }
    }
  }

  /** find_needed of elf/dl-version.c: by a name that somebody asked for, or by its path. */
  #providerOf({ text, slot }: VersionNeed): Node | null {
    if (slot.asked === this.run) return this.#current(slot)
    if (this.#current(slot) === this.#interpreter) return this.#loaderIsListed() ? this.#interpreter : null
    return this.#nodes.find(node => node.path === text && node !== this.#program) ?? null
  }

  /** The loader itself is on its list, by its path and its soname, when it was needed; in 2.41 always, in 2.36 not yet. */
  #loaderIsListed(): boolean {
    const [, needed] = this.#edges.filter(({ to }) => to === this.#interpreter.number)
    return needed !== undefined || atLeast(this.assembler.candidates.loader, 41)
  }

  /** "Assertion `needed != NULL' failed!": what tools that take out or rename a NEEDED entry leave behind. */
  #refuseVersions({ path }: Node, { text }: VersionNeed): void {
    if (this.#edges.some(({ name, to }) => name === text && to === -1)) return
    const because = `it needs versions of ${text}, and nobody has a library loaded by that name`
    this.#problems.push({ kind: 'unusable', path, by: path, because })
  }
}
