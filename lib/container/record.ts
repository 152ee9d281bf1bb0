import type { Package } from '../host/packages.js'
import { parent } from '../loader/file-system.js'
import type { Harvest } from './harvest.js'
import { isProgram } from './roles.js'
import { readInterpreterLine } from './script.js'
import type { Opened } from './strace.js'
import type { Tree } from './tree.js'

/** What one run of a program opened, and the rule by which it was kept. */
export interface Recording extends Opened {
  readonly counts: (path: string) => boolean
}

/** Where no run finds what belongs into a container. */
const NOT_THE_APPLICATIONS = [
  // State, what the kernel makes up, and what is somebody's own: each machine has its own, and none is ever covered.
  ...['/proc', '/sys', '/dev', '/run', '/tmp', '/var', '/home', '/root', '/boot', '/srv', '/mnt', '/media'],
  // The administrator's. A run reads how this very machine is set up (nsswitch.conf, ld.so.cache, localtime), which is no other's
  // business. What a package ships below /etc comes with the package, and fills gaps.
  '/etc',
  // glibc's own data without a stable format: it comes with glibc, or not at all (families.ts).
  '/usr/lib/locale',
]

/** An index that glibc does without. It is no reason to have the glibc that it was made for. */
const GCONV_CACHE = /\/gconv\/gconv-modules\.cache$/

/** Directories of programs. Who works in one of them is among the application's files, and not among his own. */
const PROGRAMS = /^\/(?:usr|opt|s?bin|lib[^/]*)(?:\/|$)/

/** A test for paths that may be the application's. `own` are the directories of whoever runs it: where he works, and his home. */
export function applicationFiles(own: readonly string[]): (path: string) => boolean {
  const places = own.filter(path => path !== '/' && !PROGRAMS.test(path))
  const prefixes = [...NOT_THE_APPLICATIONS, ...places]
  return path => !GCONV_CACHE.test(path) && !prefixes.some(prefix => path === prefix || path.startsWith(`${prefix}/`))
}

/** Takes what a run opened and executed, each file with its package. What is gone by now was not the application's. */
export function takeRecorded(harvest: Harvest, recording: Recording): void {
  const { tree } = harvest
  for (const [name, real] of [...recording.files].sort()) {
    // A name may have meant another file to the program than it does here: /dev/fd/3, or in a root of its own.
    const means = tree.chain(name).end?.path === tree.canonical.path(real)
    takeOpened(harvest, means ? name : real, recording.counts)
  }
  for (const name of [...recording.programs].sort()) takeExecuted(harvest, name, recording.counts)
}

/** The kernel opens a script's interpreter without a call that could be seen. That of `#!/usr/bin/env NAME` is executed by env. */
function takeExecuted(harvest: Harvest, name: string, counts: Recording['counts'], depth = 0): void {
  const { end } = harvest.tree.chain(name)
  if (end?.stat.kind !== 'file') return
  if (counts(name)) takeOpened(harvest, name, counts)
  const interpreter = readInterpreterLine(harvest.tree, end.path)
  // As many as the kernel goes through (fs/exec.c, exec_binprm).
  if (interpreter?.startsWith('/') && depth < 5) takeExecuted(harvest, interpreter, counts, depth + 1)
}

function takeOpened(harvest: Harvest, name: string, counts: Recording['counts']): void {
  const { tree, withEssential } = harvest
  const { links, end } = tree.chain(sourceOf(tree, name))
  if (end === null) harvest.requireNamed(name)
  if (end?.stat.kind !== 'file' || !counts(end.path) || harvest.leaves(end.path)) return
  const owner = tree.owner(end.path)
  // Essential packages are the host's; only libraries are decided for one by one, whatever they are from.
  const facts = owner?.essential && !withEssential ? tree.facts(end.path, end.stat) : null
  if (owner?.essential && !withEssential && (facts === null || isProgram(facts))) return
  const maker = owner === null ? makerOf(tree, end.path) : null
  if (maker !== null && !harvest.paths.has(end.path)) harvest.paths.set(end.path, maker)
  harvest.takeAsDependency(links[0] ?? end.path)
  // A host may well have the package and not what was generated: that is no reason to have the container's whole package.
  if (maker === null) harvest.recorded.add(end.path)
}

/** What Python compiled lies beside its source, unowned, and is read in its place: the source is what has a package. */
function sourceOf(tree: Tree, name: string): string {
  const [, directory, module] = /^(.*)\/__pycache__\/([^/.]+)\.[^/]+\.pyc$/.exec(name) ?? []
  const source = `${directory}/${module}.py`
  return directory !== undefined && tree.chain(source).end !== null ? source : name
}

/**
 * Of a file that no package owns, in a directory that one package alone ships: it was generated from that package when it was set up
 * (__pycache__), and goes with it. The same is held when names of the host's are hidden (decide/whiteouts.ts). Directories
 * of essential packages (/usr/local) are everybody's.
 */
function makerOf(tree: Tree, path: string): Package | null {
  for (let directory = parent(path); directory !== '/'; directory = parent(directory)) {
    const owners = tree.database?.ownersOf(directory) ?? []
    if (owners.length > 0) return owners.length === 1 && owners[0]?.essential === false ? owners[0] : null
  }
  return null
}
