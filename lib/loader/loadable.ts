import type { ElfFacts } from '../elf/types.js'
import type { Node } from './assembly.js'
import type { FoundFile } from './candidate.js'
import { remember } from './remember.js'
import type { Rules } from './search.js'
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

/** A file as all programs share it that load it. */
export interface Loadable {
  readonly file: FoundFile
  /** Of its device and inode: the same for the same file under another path. */
  readonly identity: Slot
  readonly needed: readonly Need[]
  readonly auxiliaries: readonly Need[]
  readonly filters: readonly Need[]
  readonly versions: readonly VersionNeed[]
  /** What it answers to when it was asked for by a name; most are always asked for by the same. */
  answers: Answers
}

interface Answers {
  readonly requested: string
  readonly names: readonly string[]
  readonly slots: readonly Slot[]
}

/** The files of one root, context and interpreter that programs load. */
export class Loadables {
  readonly #names = new Map<string, Slot>()
  readonly #files = new Map<string, Slot>()

  constructor(readonly rules: Rules) {}

  name(name: string): Slot {
    return remember(this.#names, name, () => new Slot())
  }

  of(file: FoundFile): Loadable {
    file.loadable ??= this.#prepare(file)
    return file.loadable
  }

  answers(loadable: Loadable, requested: string): Answers {
    if (loadable.answers.requested !== requested) loadable.answers = this.#answers(requested, loadable.file)
    return loadable.answers
  }

  #answers(requested: string, file: FoundFile): Answers {
    const names = this.rules.answers(requested, file)
    return { requested, names, slots: names.map(name => this.name(name)) }
  }

  #prepare(file: FoundFile): Loadable {
    const { facts } = file
    const versions = this.rules.checksVersions ? neededVersions(facts) : []
    const needs = (names: readonly string[]) => names.map(text => this.#need(text, file))
    return {
      file,
      identity: remember(this.#files, file.id, () => new Slot()),
      needed: needs(facts.needed),
      auxiliaries: needs(facts.auxiliaries),
      filters: needs(facts.filters),
      versions: Array.from(versions, ([text, versions]) => ({
        text,
        slot: this.name(text),
        versions,
        satisfiedBy: null,
      })),
      answers: this.#answers(facts.soname ?? file.path, file),
    }
  }

  #need(text: string, file: FoundFile): Need {
    const name = this.rules.expand(text, file.path)
    return { text, name, slot: this.name(name ?? text) }
  }
}
