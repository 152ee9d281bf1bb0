import { createHash } from 'node:crypto'
import { describeFiles, describePackages } from '../../../lib/container/describe.js'
import { gather } from '../../../lib/container/gather.js'
import type { Manifest } from '../../../lib/container/types.js'
import type { OpenPacked } from '../../../lib/decide/container-files.js'
import type { Host } from '../../../lib/decide/types.js'
import { FactsCache } from '../../../lib/loader/facts-cache.js'
import type { OpenFile } from '../../../lib/loader/types.js'
import {
  buildElf,
  type ElfDescription,
  file,
  glibcLoader,
  type MemoryTree,
  memoryFileSystem,
  program,
} from '../../../lib/testing/index.js'
import { allAsks, type Code, type SmallWorld } from './model.js'

const LOADER = '/lib64/ld-linux-x86-64.so.2'
const LIBRARIES = '/usr/lib'
const loader = file(glibcLoader({ systemDirectories: [LIBRARIES] }), 0o755)

/** What deciding is asked with. */
export interface Built {
  readonly manifest: Manifest
  readonly host: Host
  readonly open: OpenPacked
}

/** The order in which a world's files are told, which must not matter. */
export type Order = <T>(items: readonly T[]) => readonly T[]

export const asTheyCome: Order = items => items

export function build(world: SmallWorld, order: Order = asTheyCome): Built {
  const home = memoryFileSystem(inOrder(homeTree(world), order))
  const gathered = gather(home, {
    entries: world.programs.map((_, index) => programPath(index)),
    include: [],
    withEssential: false,
    withDocumentation: false,
    withLocales: false,
  })
  const manifest: Manifest = {
    schema: 'appc.manifest/1',
    name: 'small',
    source: { os: null, machine: gathered.machine, loader: gathered.linkage.loader },
    entries: gathered.entries,
    packages: describePackages(gathered),
    files: order(describeFiles(gathered, digestOf)),
  }
  const host: Host = {
    fs: memoryFileSystem(inOrder(hostTree(world), order)),
    packages: null,
    context: { cpuLevel: 1, libraryPath: [], preload: [] },
    policy: order(Object.entries(world.policy)).map(([match, choice]) => ({ match, choice })),
    facts: new FactsCache(),
  }
  return { manifest, host, open: ({ path }) => home.open(path) }
}

export function programPath(index: number): string {
  return `/usr/bin/app${index}`
}

export function neighbourPath(index: number): string {
  return `/usr/bin/host${index}`
}

function homeTree({ libraries, programs }: SmallWorld): MemoryTree {
  const tree: Record<string, MemoryTree[string]> = { [LOADER]: loader }
  for (const [soname, { home }] of Object.entries(libraries))
    if (home !== null) tree[`${LIBRARIES}/${soname}`] = buildElf({ soname, ...described(home) })
  for (const [index, code] of programs.entries()) tree[programPath(index)] = file(program(described(code)), 0o755)
  return tree
}

function hostTree({ libraries, neighbours }: SmallWorld): MemoryTree {
  const tree: Record<string, MemoryTree[string]> = {
    [LOADER]: loader,
    '/usr/bin': 'directory',
    [LIBRARIES]: 'directory',
  }
  for (const [soname, { host }] of Object.entries(libraries))
    if (host !== null) tree[`${LIBRARIES}/${soname}`] = buildElf({ soname, ...described(host) })
  for (const [index, code] of neighbours.entries()) tree[neighbourPath(index)] = file(program(described(code)), 0o755)
  return tree
}

function inOrder(tree: MemoryTree, order: Order): MemoryTree {
  return Object.fromEntries(order(Object.entries(tree)))
}

function described(code: Code): ElfDescription {
  return {
    needed: code.needed,
    verdefs: code.versions,
    verneeds: allAsks(code).map(({ of, version, weak }) => ({ file: of, version, weak })),
    defines: code.exports.map(({ name, version, hidden }) => ({
      name,
      ...(version !== null && { version }),
      ...(hidden && { hidden }),
    })),
    needs: code.imports.map(({ name, version, weak }) => ({
      name,
      ...(version !== null && { version: version.name, file: version.of }),
      ...(weak && { weak }),
    })),
    rodata: Buffer.alloc(code.padding),
  }
}

function digestOf(source: OpenFile): { readonly sha256: string; readonly size: number } {
  const bytes = Buffer.alloc(source.size)
  source.read(bytes, 0)
  return { sha256: createHash('sha256').update(bytes).digest('hex'), size: source.size }
}
