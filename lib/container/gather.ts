import { AppcError } from '../errors.js'
import type { FileSystem } from '../loader/types.js'
import { findEntry, findProgram, missing, type Program } from './entries.js'
import { completeFamilies } from './families.js'
import { Harvest, type HarvestOptions } from './harvest.js'
import { Linkage } from './libraries.js'
import { type Recording, takeRecorded } from './record.js'
import { Tree } from './tree.js'
import type { Entry } from './types.js'

export interface Selection extends HarvestOptions {
  /** Paths in the tree, or bare names that are looked up in its usual PATH directories. */
  readonly entries: readonly string[]
  /** Files, links and directories to take besides, with the packages that ship them. */
  readonly include: readonly string[]
  /** Runs a program of the tree and tells what it opened, which is taken too. Called once the entries have been found. */
  readonly record?: (tree: Tree) => Recording
}

/** All that belongs into a container, before any file is copied. */
export interface Gathered {
  readonly harvest: Harvest
  readonly linkage: Linkage
  readonly entries: readonly Entry[]
  /** The programs' own files: entries at the end of their links, and the interpreters of scripts. */
  readonly programs: ReadonlySet<string>
  readonly machine: number
}

export function gather(fs: FileSystem, selection: Selection): Gathered {
  const tree = new Tree(fs)
  const found = selection.entries.map(asked => findEntry(tree, asked))
  const entries = distinct(found.map(({ entry }) => entry))
  const harvest = new Harvest(tree, selection)
  const programs = found.flatMap(program => takeProgram(harvest, program, true))
  for (const { name } of entries) harvest.takeNamesake(name)
  for (const asked of selection.include) takeInclude(harvest, asked)
  if (selection.record !== undefined) takeRecorded(harvest, selection.record(tree))
  const files = programs.flatMap(({ chain }) => (chain.end === null ? [] : [chain.end.path]))
  const machine = programs.flatMap(({ facts }) => (facts === null ? [] : [facts.machine]))[0] ?? 0
  const linkage = new Linkage()
  // A family may bring packages, whose files need libraries, which may be of another family.
  for (let before = -1; before < harvest.paths.size; ) {
    before = harvest.paths.size
    linkage.close(harvest, machine, files)
    completeFamilies(harvest, linkage, machine)
  }
  return { harvest, linkage, entries, programs: new Set(files), machine }
}

/** A program, and for a script what runs it, and what runs that. */
function takeProgram(harvest: Harvest, program: Program, own: boolean, depth = 0): Program[] {
  harvest.takeWithPackages(program.path, own)
  if (program.interpreter === null) return [program]
  // As many as the kernel goes through (fs/exec.c, exec_binprm), then it fails with ELOOP.
  if (depth > 5)
    throw new AppcError('ENTRY_INVALID', `${program.path} cannot be an entry`, {
      because: 'its interpreters run in a circle',
    })
  const interpreter = findProgram(harvest.tree, program.interpreter)
  return [program, ...takeProgram(harvest, interpreter, ownsInterpreter(harvest, program, interpreter), depth + 1)]
}

/**
 * A script that no package ships was written for this very interpreter, so the container's own is used. A package's script says by
 * its dependencies which versions do; and what essential packages offer (/bin/sh) may be counted on everywhere.
 */
function ownsInterpreter(harvest: Harvest, script: Program, interpreter: Program): boolean {
  const ownerOf = ({ chain }: Program) => (chain.end === null ? null : harvest.tree.owner(chain.end.path))
  return ownerOf(script) === null && ownerOf(interpreter)?.essential !== true
}

function takeInclude(harvest: Harvest, asked: string): void {
  const path = `/${asked
    .split('/')
    .filter(part => part !== '' && part !== '.')
    .join('/')}`
  if (path === '/' || path.split('/').includes('..'))
    throw new AppcError('USAGE', `${JSON.stringify(asked)} cannot be included`, {
      because: 'it is not a path below the tree',
    })
  const { end } = harvest.takeWithPackages(path, true)
  if (end === null) throw missing(harvest.tree, path, path)
  if (end.stat.kind === 'directory') harvest.takeDirectory(end.path, true)
  if (end.stat.kind === 'other')
    throw new AppcError('FILE_UNREADABLE', `${path} cannot be included`, {
      because: 'it is neither a file nor a directory nor a link',
    })
}

/** The same program twice is one entry; two programs of one name cannot be told apart. */
function distinct(entries: readonly Entry[]): readonly Entry[] {
  const byName = new Map<string, Entry>()
  for (const entry of entries) {
    const known = byName.get(entry.name)
    if (known !== undefined && known.path !== entry.path)
      throw new AppcError('NAME_INVALID', `two entries are named ${entry.name}`, {
        because: `they are ${known.path} and ${entry.path}`,
        hint: 'pack them into two containers, or one of them by a link of another name',
      })
    byName.set(entry.name, entry)
  }
  return [...byName.values()]
}
