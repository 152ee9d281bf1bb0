import { realpathSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { overlayFileSystem } from '../../lib/loader/overlay-file-system.js'
import { resolveGraph } from '../../lib/loader/resolve.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { FileSystem, Graph } from '../../lib/loader/types.js'
import {
  askLoader,
  asTraced,
  HOST_LOADER,
  missingVersions,
  type OracleAnswer,
  type Traced,
  withoutIdleLoader,
} from './oracle.js'
import { roots } from './roots.js'

/** A loader that judges: what to run, and a view of this machine in which programs that name HOST_LOADER get it. */
export interface Judge {
  readonly what: string
  readonly loader: string
  fs(): FileSystem
}

/** This machine's loader. */
export const HERE: Judge = { what: 'here', loader: HOST_LOADER, fs: () => rootFileSystem('/') }

/** Another glibc's loader in the place of this machine's. It finds this machine's cache and directories. */
function inPlace(what: string, loader: string): Judge {
  const place = realpathSync(HOST_LOADER)
  const link = new Map([[place, { kind: 'symlink', target: loader } as const]])
  return { what, loader, fs: () => overlayFileSystem(rootFileSystem('/'), link) }
}

export const OLD = inPlace('2.31', realpathSync(join(roots.bullseye(), 'lib/x86_64-linux-gnu/ld-2.31.so')))
export const NEW = inPlace('2.41', realpathSync(join(roots.trixie(), 'usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2')))

/** 2.31, this machine's and 2.41: the versions between which rules changed. */
export const EVERY_VERSION: readonly Judge[] = [OLD, HERE, NEW]

export interface Setting {
  readonly libraryPath?: string
  readonly preload?: string
  readonly cwd?: string
}

type Tap = Pick<Test, 'equal' | 'same'>

/**
 * Our answer and the loader's for a file: the same libraries by the same paths in the same order, the same missing names and
 * versions, and an end where the loader gives up. Fails where they differ; the graph is the one for this machine's loader, or
 * the last of `judges`.
 */
export function judge(tap: Tap, file: string, setting: Setting = {}, judges: readonly Judge[] = EVERY_VERSION): Graph {
  const graphs = new Map(judges.map(by => [by, judgeBy(tap, by, file, setting)]))
  return graphs.get(HERE) ?? (graphs.get(judges.at(-1) as Judge) as Graph)
}

function judgeBy(tap: Tap, by: Judge, file: string, { libraryPath = '', preload = '', cwd = '/' }: Setting): Graph {
  const graph = resolveGraph(by.fs(), file, {
    cpuLevel: addon().cpuLevel(),
    intel: addon().cpuIsIntel(),
    libraryPath: libraryPath === '' ? [] : libraryPath.split(/[:;]/),
    preload: preload.split(/[ :]/).filter(name => name !== ''),
    workingDirectory: cwd,
  })
  const env = { ...(libraryPath && { LD_LIBRARY_PATH: libraryPath }), ...(preload && { LD_PRELOAD: preload }) }
  const answer = askLoader(file, { loader: by.loader, env, cwd })
  // One that was put in place of this machine's tells its own path.
  const libraries = answer.libraries.map(({ name, path }) => ({ name, path: path === by.loader ? HOST_LOADER : path }))
  const stderr = answer.stderr.replaceAll(` ${by.loader}: version`, ` ${HOST_LOADER}: version`)
  compare(tap, by.what, graph, { ...answer, libraries, stderr }, cwd)
  return graph
}

/** Compares what both say of one file, `cwd` being where relative paths of the loader's begin. */
export function compare(tap: Tap, what: string, graph: Graph, answer: OracleAnswer, cwd: string): void {
  const ends = graph.problems.some(({ kind }) => kind === 'unusable')
  if (ends || answer.status !== 0) {
    tap.equal(ends, answer.status !== 0, `${what}: the loader gives up where we do: ${answer.stderr}`)
    return
  }
  const theirs = withoutIdleLoader(answer.libraries, graph).map(({ name, path }) => ({
    name,
    path: path && (path.startsWith('/') ? path : `${cwd === '/' ? '' : cwd}/${path}`),
  }))
  tap.same(
    { ...byPresence(asTraced(graph)), versions: versionsMissing(graph) },
    { ...byPresence(theirs), versions: missingVersions(answer.stderr) },
    `${what}: the same files in the same order, the same missing`,
  )
}

/** A trace tells of missing names once or more often, by its version. */
function byPresence(libraries: readonly Traced[]) {
  return {
    found: libraries.filter(({ path }) => path !== null),
    missing: [...new Set(libraries.flatMap(({ name, path }) => (path === null ? [name] : [])))].sort(),
  }
}

/** As `missingVersions` has them of the loader's messages. */
function versionsMissing(graph: Graph): string[] {
  return graph.problems
    .flatMap(problem => (problem.kind === 'missing-version' ? [problem] : []))
    .map(
      ({ file, version }) =>
        `${graph.objects.find(({ path, names }) => path === file || names.includes(file))?.path} ${version}`,
    )
    .sort()
}

/** By which rule each name was found. */
export const hows = (graph: Graph) => Object.fromEntries(graph.edges.map(({ name, how }) => [name, how]))
