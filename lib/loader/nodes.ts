import type { ElfFacts } from '../elf/types.js'
import type { FoundFile } from './candidate.js'
import type { Requester, Rules } from './search.js'
import { neededVersions } from './versions.js'

/**
 * Whom a name, or a file, stands for in the program that is being assembled. Thousands of programs ask for the same names: each
 * has one slot for all of them, which counts as empty until this program's turn (`run`) has filled it.
 */
export class Slot {
  run = 0
  node: Node | null = null
  /** The last turn in which somebody asked for it and got an object: until then a soname does not count for versions. */
  asked = 0
}

/** A NEEDED name (or a filter's) of one file. */
export interface Need {
  /** As it stands in the file, and with its tokens expanded: null where that fails. */
  readonly text: string
  readonly name: string | null
  readonly slot: Slot
}

/** The versions needed of one file, by its name as it stands; and of whom it is known that he has them all. */
export interface VersionNeed {
  readonly text: string
  readonly slot: Slot
  readonly versions: readonly string[]
  satisfiedBy: ElfFacts | null
}

/** What the loader has of a file. */
interface Loadable {
  readonly needed: readonly Need[]
  readonly auxiliaries: readonly Need[]
  readonly filters: readonly Need[]
  readonly versions: readonly VersionNeed[]
}

/** What a file answers to when it was asked for by a name. */
interface Answers {
  readonly requested: string
  readonly names: readonly string[]
  readonly slots: readonly Slot[]
}

const NOBODY: readonly string[] = []

/**
 * An object on its way into the graph. A file has one for all programs that load it, which begins anew with each: where one was
 * made for every program and thrown away, the garbage collector would copy it first, as slots still point to it.
 */
export class Node implements Requester {
  /** Most files are always asked for by the same name. */
  answers: Answers

  loader: Node | null = null
  /** Its place among those that the program has loaded so far. */
  number = -1
  names = NOBODY
  /** Has its place in the load order; its own needs have been followed; its index once the order is settled. */
  listed = false
  done = false
  index = -1

  constructor(
    readonly file: FoundFile,
    readonly loadable: Loadable,
    answers: Answers,
  ) {
    this.answers = answers
  }

  get path(): string {
    return this.file.path
  }

  get facts(): ElfFacts {
    return this.file.facts
  }

  begin(loader: Node | null, number: number, names: readonly string[]): void {
    this.loader = loader
    this.number = number
    this.names = names
    this.listed = false
    this.done = false
    this.index = -1
  }
}

/** The files of one root, context and interpreter that programs load. */
export class Nodes {
  readonly #names = new Map<string, Slot>()
  readonly #files = new Map<string, Slot>()

  constructor(readonly rules: Rules) {}

  name(name: string): Slot {
    return slotOf(this.#names, name)
  }

  /** Of a file's device and inode: the same for the same file under another path. */
  identity({ id }: FoundFile): Slot {
    return slotOf(this.#files, id)
  }

  of(file: FoundFile): Node {
    file.node ??= this.#make(file)
    return file.node
  }

  answers(node: Node, requested: string): Answers {
    if (node.answers.requested !== requested) node.answers = this.#answers(requested, node.file)
    return node.answers
  }

  #make(file: FoundFile): Node {
    const { facts, path } = file
    const needs = (names: readonly string[]) => names.map(text => this.#need(text, path))
    const loadable = {
      needed: needs(facts.needed),
      auxiliaries: needs(facts.auxiliaries),
      filters: needs(facts.filters),
      versions: this.rules.checksVersions ? this.#versions(facts) : [],
    }
    return new Node(file, loadable, this.#answers(facts.soname ?? path, file))
  }

  #need(text: string, path: string): Need {
    const name = this.rules.expand(text, path)
    return { text, name, slot: this.name(name ?? text) }
  }

  #versions(facts: ElfFacts): VersionNeed[] {
    const needs: VersionNeed[] = []
    for (const [text, versions] of neededVersions(facts)) {
      needs.push({ text, slot: this.name(text), versions, satisfiedBy: null })
    }
    return needs
  }

  #answers(requested: string, file: FoundFile): Answers {
    const names = this.rules.answers(requested, file)
    return { requested, names, slots: names.map(name => this.name(name)) }
  }
}

function slotOf(slots: Map<string, Slot>, key: string): Slot {
  const known = slots.get(key)
  if (known !== undefined) return known
  const slot = new Slot()
  slots.set(key, slot)
  return slot
}
