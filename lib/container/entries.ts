import { endianness } from 'node:os'
import type { ElfFacts } from '../elf/types.js'
import { AppcError } from '../errors.js'
import { base, join, parent } from '../loader/file-system.js'
import type { FileStat } from '../loader/types.js'
import { REPLACEMENT } from '../loader/unreadable.js'
import { isProgram } from './roles.js'
import { readInterpreterLine } from './script.js'
import { nearest } from './suggest.js'
import type { Chain, Tree } from './tree.js'
import type { Entry } from './types.js'

/** Where a program is looked up by its bare name: the PATH of a root's login (login.defs of Debian), root's first. */
const PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** e_machine of what this machine runs, by Node's name for it. */
const MACHINES: Readonly<Record<string, number>> = {
  x64: 62,
  arm64: 183,
  ia32: 3,
  arm: 40,
  riscv64: 243,
  ppc64: 21,
  s390x: 22,
}

/** A program that was found in a tree. */
export interface Program {
  /** As it was asked for, its directories canonical; a link is not followed. */
  readonly path: string
  readonly chain: Chain
  /** Its ELF facts; null for a script. */
  readonly facts: ElfFacts | null
  /** What a script is run by: the path or name after `#!`, through env where it says so; null for an ELF file. */
  readonly interpreter: string | null
}

export function findEntry(tree: Tree, asked: string): Program & { readonly entry: Entry } {
  const program = findProgram(tree, asked)
  return { ...program, entry: { name: base(program.path), path: program.path } }
}

/** Entries of containers are named on command lines and in messages. Throws NAME_INVALID. */
export function checkEntryName({ name }: Entry): void {
  if (/^[^\s\p{Cc}\p{Cf}@~]+$/u.test(name)) return
  throw new AppcError('NAME_INVALID', `${JSON.stringify(name)} cannot name an entry`, {
    because: 'names of entries have no blanks, control characters, @ or ~',
    hint: 'pack it by a link with a plainer name',
  })
}

/** A program by path or bare name. Throws FILE_MISSING, ENTRY_INVALID, ELF_MALFORMED, ELF_FOREIGN. */
export function findProgram(tree: Tree, asked: string): Program {
  const path = asked.includes('/') ? normalise(asked) : lookUp(tree, asked)
  const chain = tree.chain(path)
  if (chain.end === null) throw missing(tree, asked, path)
  const { path: file, stat } = chain.end
  if (stat.kind !== 'file')
    throw noProgram(file, `it is ${stat.kind === 'directory' ? 'a directory' : 'not a regular file'}`)
  if ((stat.mode & 0o111) === 0)
    throw noProgram(file, 'it has no execute permission', 'chmod +x makes it one, if it is a program')
  const interpreter = readInterpreterLine(tree, file)
  const canonical = tree.canonical.path(path)
  return { path: canonical, chain, interpreter, facts: interpreter === null ? programFacts(tree, file, stat) : null }
}

function programFacts(tree: Tree, path: string, stat: FileStat): ElfFacts {
  let facts: ElfFacts
  try {
    facts = tree.requireFacts(path, stat)
  } catch (error) {
    if (!(error instanceof AppcError && error.code === 'ELF_NOT')) throw error
    throw noProgram(path, 'it is neither an ELF file nor a script that begins with #!')
  }
  const here = MACHINES[process.arch]
  if (facts.machine !== here || (facts.data === 'little') !== (endianness() === 'LE'))
    throw new AppcError('ELF_FOREIGN', `${path} is a program for another machine`, {
      because: `its e_machine is ${facts.machine}, this machine's is ${here ?? 'unknown'}`,
    })
  if (!isProgram(facts))
    throw noProgram(path, 'it is a library or a module', 'use --include to take it along with a program')
  return facts
}

function lookUp(tree: Tree, name: string): string {
  for (const directory of PATH) {
    const path = join(directory, name)
    const { end } = tree.chain(path)
    if (end?.stat.kind === 'file' && (end.stat.mode & 0o111) !== 0) return path
  }
  throw missing(tree, name, join('/usr/bin', name))
}

/** Like POSIX paths: relative ones start at the root, `.` and `..` are taken away before links are followed. */
function normalise(asked: string): string {
  const parts: string[] = []
  for (const part of asked.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return `/${parts.join('/')}`
}

/** FILE_MISSING with the nearest name that is there. */
export function missing(tree: Tree, asked: string, path: string): AppcError {
  const directories = asked.includes('/') ? [parent(path)] : PATH
  const names = directories.flatMap(directory => tree.fs.readdir(tree.canonical.directory(directory)) ?? [])
  const meant = nearest(base(path), names)
  const hint = asked.includes('/') ? join(parent(path), meant ?? '') : (meant ?? '')
  // A hint is printed as it is, so a name must not bring lines of its own.
  const suggested = meant !== null && meant !== base(path) && !/\p{Cc}/u.test(hint)
  return new AppcError('FILE_MISSING', `there is no ${asked} in the tree`, {
    because: whyMissing(asked, path, names),
    ...(suggested ? { hint: `did you mean ${hint}?` } : {}),
  })
}

function whyMissing(asked: string, path: string, names: readonly string[]): string {
  if (names.includes(base(path)))
    return base(path).includes(REPLACEMENT)
      ? 'its name is not UTF-8'
      : 'what has that name is a link that leads nowhere, or cannot be executed'
  return asked.includes('/') ? `${path} does not exist` : `it is not in ${PATH.join(', ')}`
}

function noProgram(path: string, because: string, hint?: string): AppcError {
  return new AppcError('ENTRY_INVALID', `${path} is no program`, {
    because,
    ...(hint === undefined ? {} : { hint }),
  })
}
