import { spawnSync } from 'node:child_process'
import type { Graph } from '../../lib/loader/types.js'

export interface Traced {
  readonly name: string
  readonly path: string | null
}

export interface OracleAnswer {
  /** In load order, the program left out: the name asked for, and the path, or null for 'not found'. */
  readonly libraries: readonly Traced[]
  readonly status: number
  readonly stderr: string
}

export interface OracleOptions {
  readonly loader?: string
  /** The tree to be the root, whose own loader answers. */
  readonly root?: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** The loader that judges; TEST_LOADER names one of another glibc, to see that the rules hold for its version. */
export const HOST_LOADER = process.env.TEST_LOADER ?? '/lib64/ld-linux-x86-64.so.2'

/** Asks the real loader what it loads for `file` (an absolute path without symlinks, or one with a slash). */
export function askLoader(file: string, options: OracleOptions = {}): OracleAnswer {
  const { loader = HOST_LOADER, root, env = {}, cwd = '/' } = options
  // The variable would have chroot itself traced; `--list` does the same, but for ending at the first missing library.
  const command =
    root === undefined ? [loader, file] : ['unshare', '--map-root-user', 'chroot', root, loader, '--list', file]
  const run = spawnSync(command[0] as string, command.slice(1), {
    cwd,
    env: root === undefined ? { LD_TRACE_LOADED_OBJECTS: '1', ...env } : { ...env, PATH: process.env.PATH },
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  if (run.error !== undefined) throw run.error
  return { libraries: parseTrace(run.stdout), status: run.status ?? -1, stderr: run.stderr }
}

/** Lines like `\tlibc.so.6 => /lib/…/libc.so.6 (0x…)`, `\tlibx.so => not found`, `\t/lib64/ld-linux-… (0x…)`. */
export function parseTrace(output: string): Traced[] {
  return output.split('\n').flatMap(line => {
    const match = /^\t(.*?)(?: => (.*?))?(?: \(0x[0-9a-f]+\))?$/.exec(line)
    if (
      match === null ||
      match[1] === undefined ||
      // The kernel's own object, which some kernels have for 32-bit programs too.
      /^linux-(vdso|gate)\b/.test(match[1]) ||
      match[1] === 'statically linked'
    )
      return []
    const name = match[1]
    return [{ name, path: match[2] === 'not found' ? null : (match[2] ?? name) }]
  })
}

/** A graph in the trace's terms. */
export function asTraced(graph: Graph): Traced[] {
  return withoutIdleLoader(librariesOf(graph), graph)
}

/** Every object but the program, in load order, under the name by which it was first asked for; then what is missing. */
function librariesOf({ objects, edges }: Graph): Traced[] {
  const loaded = objects.flatMap(({ path }, index) => {
    const edge = index === 0 ? undefined : edges.find(({ to }) => to === index)
    return edge === undefined ? [] : [{ name: edge.name, path }]
  })
  return [...loaded, ...edges.filter(({ to }) => to === -1).map(({ name }) => ({ name, path: null }))]
}

/** A loader that no NEEDED entry names is always in the graph; glibc's trace tells of it or not, by version. */
export function withoutIdleLoader(libraries: readonly Traced[], graph: Graph): Traced[] {
  const loader = graph.objects.findIndex(({ path }) => path === graph.loader?.path)
  const needed = graph.edges.filter(({ to }) => to === loader).length > 1
  return libraries.filter(({ path }) => needed || path !== graph.loader?.path)
}

/** Missing versions as `FILE VERSION`, from the loader's messages. */
export function missingVersions(stderr: string): string[] {
  return [...stderr.matchAll(/^\S+: (\S+): version `(.*?)' not found \(required by /gm)]
    .map(([, path, version]) => `${path} ${version}`)
    .sort()
}
