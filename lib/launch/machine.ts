import { readdirSync, readFileSync } from 'node:fs'
import { release } from 'node:os'
import { readPolicy } from '../container/host-policy.js'
import type { Decision, Host } from '../decide/types.js'
import { readPackageDatabase } from '../host/dpkg.js'
import { driversOf } from '../host/drivers.js'
import type { Kernel } from '../host/inventory.js'
import { FactsCache, type FactsMemory } from '../loader/facts-cache.js'
import type { Looks } from '../loader/looks.js'
import { rootFileSystem } from '../loader/root-file-system.js'
import type { SearchContext } from '../loader/types.js'
import type { Circumstances } from '../plan/compile.js'
import { LOADER_VARIABLES } from '../plan/types.js'
import type { Store } from '../store/store.js'
import { hasCode } from '../store/writing.js'
import { addon } from './addon.js'
import { lookAtMany } from './batch.js'
import { whileUnchanged } from './while-unchanged.js'

/** The kernel, as far as containers need something of it: asked by trying, since versions tell nothing of what is configured. */
export function kernel(): Kernel {
  const asked = ['userNamespace', 'overlay'] as const
  const features = asked.map(name => [name, addon().probe(name)?.code ?? null] as const)
  return { release: release(), features: Object.fromEntries(features) }
}

/**
 * The tree at `root` as a host, as seen by a process of this environment. With a memory, what earlier runs found out about its files
 * is believed where device, inode, size and times are the same, as the guards of a plan are. With looks, what its paths were is noted there.
 */
export function hostAt(
  root: string,
  environment: NodeJS.ProcessEnv,
  memory: FactsMemory | null = null,
  looks: Looks | null = null,
): Host {
  const fs = looks?.through(rootFileSystem(root)) ?? rootFileSystem(root)
  const facts = new FactsCache()
  if (memory !== null) facts.consult(memory)
  const prefix = root === '/' ? '' : root
  return {
    fs,
    packages: readPackageDatabase(fs),
    context: searchContext(environment),
    facts,
    drivers: directories => driversOf(fs, directories, facts, kernelModules()),
    lookAhead: paths =>
      void lookAtMany(
        addon(),
        paths.map(path => prefix + path),
        facts,
      ),
  }
}

/** A host as the containers of a store see it: with the site's policy, and what earlier runs found out. Throws POLICY_INVALID. */
export function hostFor(
  store: Store,
  root: string,
  environment: NodeJS.ProcessEnv,
  memory: FactsMemory,
  looks: Looks | null = null,
): Host {
  return { ...hostAt(root, environment, memory, looks), policy: readPolicy(store) }
}

/**
 * What `decide` makes of a tree of this machine, or of itself, as containers of the store see it; once more where it changed meanwhile.
 * Throws PLAN_UNSTABLE.
 */
export function decideHere<T extends { readonly decision: Pick<Decision, 'evidence'> }>(
  store: Store,
  root: string,
  memory: FactsMemory,
  decide: (host: Host) => T,
): T {
  return whileUnchanged(
    looks => decide(hostFor(store, root, process.env, memory, looks)),
    ({ decision }, looks) => !looks.haveChanged(decision.evidence),
  )
}

/** What a plan that is made now, for this process, is bound to. */
export function circumstances(): Circumstances {
  return {
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    kernelRelease: release(),
    cpuLevel: addon().cpuLevel(),
    loaderEnvironment: loaderEnvironment(process.env),
    mountPoints: addon().mountPoints(),
  }
}

/** The versions of the kernel's modules that have one, by name. */
export function kernelModules(): ReadonlyMap<string, string> {
  const modules = new Map<string, string>()
  for (const name of readdirOrNone('/sys/module')) {
    try {
      modules.set(name, readFileSync(`/sys/module/${name}/version`, 'utf8').trim())
    } catch (error) {
      // Most have none, and one may be unloaded meanwhile.
      if (!hasCode(error, 'ENOENT', 'ENODEV', 'EACCES')) throw error
    }
  }
  return modules
}

function readdirOrNone(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EACCES')) return []
    throw error
  }
}

/** What decides the loader's search for a program that is started from here with this environment. */
export function searchContext(environment: NodeJS.ProcessEnv): SearchContext {
  return {
    cpuLevel: addon().cpuLevel(),
    intel: addon().cpuIsIntel(),
    libraryPath: split(environment.LD_LIBRARY_PATH, /:/),
    preload: split(environment.LD_PRELOAD, /[: ]/).filter(name => name !== ''),
    ...workingDirectory(),
  }
}

/** A process may sit in a directory that was removed; then relative names lead nowhere. */
function workingDirectory(): Pick<SearchContext, 'workingDirectory'> {
  try {
    return { workingDirectory: process.cwd() }
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return {}
    throw error
  }
}

/** The loader's variables that are set, and not to nothing. */
export function loaderEnvironment(environment: NodeJS.ProcessEnv): Readonly<Record<string, string>> {
  const set = LOADER_VARIABLES.flatMap(name => (environment[name] ? [[name, environment[name]] as const] : []))
  return Object.fromEntries(set)
}

function split(value: string | undefined, separator: RegExp): readonly string[] {
  return value ? value.split(separator) : []
}
