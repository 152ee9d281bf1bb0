import { readFileSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { MemoryNode } from '../../lib/loader/memory-file-system.js'
import type { SearchContext } from '../../lib/loader/types.js'
import {
  type ElfDescription,
  hardLink,
  ldSoCache,
  library,
  type MemoryTree,
  program,
  symlink,
} from '../../lib/testing/index.js'
import { Random } from '../fuzz/random.js'

/** A made-up root with a real loader in it, and all of its ELF files that a loader can be asked about. */
export interface World {
  readonly tree: MemoryTree
  readonly files: readonly string[]
  readonly context: Required<Pick<SearchContext, 'libraryPath' | 'preload' | 'workingDirectory'>>
}

const LOADER = '/lib64/ld-linux-x86-64.so.2'
const NAMES = ['liba.so', 'libb.so', 'libc.so', 'libd.so', 'libe.so', 'libf.so']
const VERSIONS = ['V1', 'V2', 'V3']
const SYSTEM = ['/lib/x86_64-linux-gnu', '/usr/lib/x86_64-linux-gnu', '/lib', '/usr/lib']
/** Where files lie; /opt/l is a link to /opt/a, and /opt/up to /opt/b/sub. */
const DIRECTORIES = [
  '/opt/a',
  '/opt/a/sub',
  '/opt/b',
  '/opt/b/sub',
  '/opt/x86_64',
  '/opt/lib/x86_64-linux-gnu',
  ...SYSTEM,
]
const VARIANTS = ['', '', '', '', 'glibc-hwcaps/x86-64-v2', 'glibc-hwcaps/x86-64-v3', 'tls', 'x86_64', 'haswell/x86_64']
const ELEMENTS = [
  ...['/opt/a', '/opt/b', '/opt/a/sub', '/opt/b/sub/', '/opt//a', '/opt/b/../a', '/opt/l', '/opt/up', '/opt/up/..'],
  ...[
    '$ORIGIN',
    '$ORIGIN/sub',
    `\${ORIGIN}/../b`,
    '$ORIGINS',
    '/opt/$LIB',
    `/opt/\${PLATFORM}`,
    '/opt/$PLATFORM/',
    `\${LIB`,
  ],
  ...['', '.', 'sub', '/nowhere', '/opt/a/liba.so', '/lib'],
]

/** The same for the same seed. */
export function randomWorld(seed: number, loader: string): World {
  const random = new Random(seed)
  const tree: Record<string, MemoryNode> = loaderNodes(loader)
  const files: string[] = []
  const put = (path: string, node: MemoryNode) => {
    if (tree[path] !== undefined) return
    tree[path] = node
    if (node instanceof Uint8Array && node.length > 100) files.push(path)
  }
  tree['/opt/l'] = symlink(random.once(2) ? 'a' : '/opt/a')
  tree['/opt/up'] = symlink('b/sub')
  tree['/opt/a/keep'] = 'directory'
  tree['/opt/b/sub/keep'] = 'directory'
  const programs = 3 + random.below(4)
  for (let index = 0; index < programs; index++) {
    const directory = random.pick(['/bin', '/opt/a', '/opt/b'])
    put(
      `${directory}/app${index}`,
      program({ ...described(random, null), needed: some(random, 4, () => needed(random)) }),
    )
  }
  const libraries = 8 + random.below(16)
  for (let index = 0; index < libraries; index++) {
    const path = join(random.pick(DIRECTORIES), random.pick(VARIANTS), random.pick(NAMES))
    put(path, libraryNode(random, basename(path), files))
  }
  if (!random.once(3)) tree['/etc/ld.so.cache'] = cacheNode(random)
  const context = {
    libraryPath: random.once(2) ? [] : some(random, 3, () => random.pick(ELEMENTS)),
    preload: random.once(3) ? some(random, 2, () => needed(random)) : [],
    workingDirectory: random.pick(['/', '/opt/a', '/opt/b']),
  }
  return { tree, files, context }
}

/** Before 2.33 it is told by its file's name. */
function loaderNodes(loader: string): Record<string, MemoryNode> {
  const real = realpathSync(loader)
  const path = `/lib64/${basename(real)}`
  return { [path]: readFileSync(real), ...(path !== LOADER && { [LOADER]: symlink(basename(real)) }) }
}

function libraryNode(random: Random, name: string, files: readonly string[]): MemoryNode {
  switch (random.below(24)) {
    case 0:
      return symlink(random.pick(NAMES))
    case 1:
      return symlink(`/opt/${random.pick(['a', 'b', 'l', 'up'])}/${random.pick(NAMES)}`)
    case 2:
    case 3:
      return files.length === 0 ? library() : hardLink(random.pick(files))
    case 4:
      return random.once(2) ? 'directory' : symlink(`liba.so/${name}`)
    case 5:
      return random.once(2) ? Buffer.from('INPUT(liba.so)\n') : library({ machine: 183 })
    case 6:
      return random.once(2) ? library({ class: 32 }) : library({ data: 'big', class: 64 })
    case 7:
      return program({ ...described(random, name) })
    default:
      return library(described(random, name))
  }
}

function described(random: Random, name: string | null): ElfDescription {
  const path = () => (random.once(2) ? some(random, 3, () => random.pick(ELEMENTS)).join(':') : null)
  // Filters that go round in a circle keep the real loader busy for ever.
  const filtee = () => random.pick(['libz.so', ...NAMES.filter(other => other > (name ?? ''))])
  const needs = some(random, 3, () => needed(random))
  const soname = name === null || random.once(4) ? null : random.once(4) ? random.pick(NAMES) : name
  return {
    soname,
    needed: needs,
    rpath: random.once(2) ? path() : null,
    runpath: random.once(2) ? path() : null,
    nodeflib: random.once(6),
    auxiliaries: random.once(8) ? [filtee()] : [],
    filters: random.once(10) ? [filtee()] : [],
    verdefs: random.once(2) ? some(random, 3, () => random.pick(VERSIONS)) : [],
    verneeds: random.once(2)
      ? some(random, 3, () => ({
          file: needs.length > 0 && !random.once(4) ? random.pick(needs) : random.pick(NAMES),
          version: random.pick(VERSIONS),
          weak: random.once(4),
        }))
      : [],
  }
}

function needed(random: Random): string {
  const name = random.pick(NAMES)
  switch (random.below(16)) {
    case 0:
      return `/opt/a/${name}`
    case 1:
      return `$ORIGIN/${name}`
    case 2:
      return random.pick([`sub/${name}`, `/opt/$LIB/${name}`, `\${PLATFORM}`, '$LIB', `$ORIGIN${name}`])
    case 3:
      return random.pick(['ld-linux-x86-64.so.2', LOADER, 'app0'])
    default:
      return name
  }
}

function cacheNode(random: Random): MemoryNode {
  const entries = some(random, 6, () => {
    const level = random.once(3) ? random.pick(['x86-64-v2', 'x86-64-v3']) : undefined
    const name = random.pick(NAMES)
    const path = join(
      random.pick(DIRECTORIES),
      level === undefined ? '' : `glibc-hwcaps/${level}`,
      random.pick([name, name, 'libz.so']),
    )
    return { name, path, ...(level !== undefined && { hwcaps: level }) }
  })
  return ldSoCache(entries)
}

function some<T>(random: Random, most: number, make: () => T): T[] {
  return Array.from({ length: random.below(most + 1) }, make)
}
