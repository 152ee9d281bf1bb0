import { createHash } from 'node:crypto'
import { canonicalizer } from '../host/canonical.js'
import { base, join, parent, resolvePath } from '../loader/file-system.js'
import { readLoader } from '../loader/loader.js'
import { type OverlayNode, overlayFileSystem } from '../loader/overlay-file-system.js'
import { resolveGraph } from '../loader/resolve.js'
import type { FileSystem, OpenFile } from '../loader/types.js'
import { eachPiece } from '../store/objects.js'
import type { StoredObject } from '../store/writer.js'
import { describeFiles } from './describe.js'
import { findProgram, type Program } from './entries.js'
import { gather } from './gather.js'
import { BASELINE } from './libraries.js'
import { Tree } from './tree.js'
import type { Manifest } from './types.js'

/** A plain program of the host with directories of candidates, described as if it had been packed. */
export interface DescribedProgram {
  readonly manifest: Manifest
  /** The program itself, and the interpreter of a script: they stay where they are. */
  readonly inPlace: ReadonlySet<string>
  /** Where the manifest's files are to be read. */
  readonly fs: FileSystem
}

/** Directories below a library directory that the loader and the C library themselves look into. */
const NESTED = [
  'gconv',
  'gconv/gconv-modules.d',
  'glibc-hwcaps/x86-64-v2',
  'glibc-hwcaps/x86-64-v3',
  'glibc-hwcaps/x86-64-v4',
]

const NOTHING_ELSE = { include: [], withEssential: false, withDocumentation: false, withLocales: false }

/**
 * Describes a program by packing it, without copying, from a tree that does not exist: the host with the candidates laid over
 * its own library directory. So `--lib` needs no rules of its own: what serves of the host's will be shared, what does not is
 * private, and a lockstep family comes whole. `libraries` are directories of `machine`, the first that has a name wins.
 */
export function describeProgram(
  host: FileSystem,
  program: string,
  libraries: readonly string[],
  machine: FileSystem,
): DescribedProgram {
  const elf = elfOf(host, program)
  const candidates = candidateNodes(host, elf, libraries, machine)
  const fs = overlayFileSystem(host, withoutEarlier(host, elf, candidates))
  const gathered = gather(fs, { ...NOTHING_ELSE, entries: [program] })
  const manifest: Manifest = {
    schema: 'appc.manifest/1',
    name: 'program',
    source: { os: null, machine: gathered.machine, loader: gathered.linkage.loader },
    entries: gathered.entries,
    packages: [],
    files: describeFiles(gathered, hashOnly),
  }
  return { manifest, inPlace: gathered.programs, fs }
}

/** The made-up tree has neither a package database, which would speak of the host's files, nor a cache of where they are. */
const UNKNOWN: ReadonlyMap<string, OverlayNode> = new Map([
  ['/var/lib/dpkg/status', { kind: 'whiteout' }],
  ['/etc/ld.so.cache', { kind: 'whiteout' }],
])

/** Each candidate at the name it would have on the host, and the interpreter also at the end of the links that lead to it. */
function candidateNodes(
  host: FileSystem,
  elf: Program,
  libraries: readonly string[],
  machine: FileSystem,
): ReadonlyMap<string, OverlayNode> {
  const nodes = new Map<string, OverlayNode>()
  const interpreter = elf.facts?.interpreter ?? null
  if (interpreter === null || libraries.length === 0) return nodes
  const directory = libraryDirectory(host, interpreter)
  for (const library of libraries) {
    for (const nested of ['', ...NESTED]) {
      const from = nested === '' ? library : join(library, nested)
      const to = nested === '' ? directory : join(directory, nested)
      for (const name of machine.readdir(resolvePath(machine, from).path ?? from) ?? []) {
        const { path } = resolvePath(machine, join(from, name))
        if (path === null || machine.lstat(path)?.kind !== 'file' || nodes.has(join(to, name))) continue
        nodes.set(join(to, name), { kind: 'file', from: machine, path })
      }
    }
  }
  const own = nodes.get(join(directory, interpreter.slice(interpreter.lastIndexOf('/') + 1)))
  if (own) for (const name of linksOf(host, interpreter)) nodes.set(name, own)
  return nodes
}

/**
 * The nodes, and nothing in the places of the host's files of these names to which a RUNPATH leads before them: a candidate is what is
 * there besides the host's, wherever the host has its own.
 */
function withoutEarlier(
  host: FileSystem,
  elf: Program,
  candidates: ReadonlyMap<string, OverlayNode>,
): ReadonlyMap<string, OverlayNode> {
  const nodes = new Map([...candidates, ...UNKNOWN])
  if (candidates.size === 0) return nodes
  const names = new Set([...candidates.keys()].map(base))
  const canonical = canonicalizer(host)
  for (;;) {
    const { objects, edges } = resolveGraph(overlayFileSystem(host, nodes), elf.path, BASELINE)
    const known = nodes.size
    for (const { name, how, to } of edges) {
      const object = how === 'runpath' || how === 'rpath' ? objects[to] : undefined
      if (object !== undefined && names.has(name)) nodes.set(canonical.path(object.path), { kind: 'whiteout' })
    }
    if (nodes.size === known) return nodes
  }
}

/** The program, or what runs it where it is a script. */
function elfOf(host: FileSystem, program: string): Program {
  const tree = new Tree(host)
  let found = findProgram(tree, program)
  // As many interpreters as the kernel goes through (fs/exec.c, exec_binprm).
  for (let depth = 0; found.interpreter !== null && depth < 5; depth++) found = findProgram(tree, found.interpreter)
  return found
}

/** Where the host's loader looks first; on a host without that loader, where the loader itself would be. */
function libraryDirectory(host: FileSystem, interpreter: string): string {
  const exists = resolvePath(host, interpreter).path !== null
  const first = exists ? readLoader(host, interpreter).systemDirectories[0] : undefined
  return canonicalizer(host).directory(first ?? parent(interpreter))
}

function linksOf(host: FileSystem, interpreter: string): readonly string[] {
  const { links, end } = new Tree(host).chain(interpreter)
  return [...links, ...(end === null ? [] : [end.path])]
}

function hashOnly(source: OpenFile): StoredObject {
  const hash = createHash('sha256')
  const size = eachPiece(
    (buffer, position) => source.read(buffer, position),
    piece => hash.update(piece),
  )
  return { sha256: hash.digest('hex'), size }
}
