import { execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, openSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { addon } from '../../lib/launch/addon.js'
import { identity, makeTree, Sandbox, type User } from '../native/fixture.js'
import { type Mode, modes } from './modes.js'

/** What the witness exits with. */
export const witnessStatus = 42

/** A launch to be tried, of a program that tells what it sees. */
export interface Launch {
  readonly name: string
  readonly user: User
  /** Where it is started. */
  readonly directory: string
  readonly environment: Readonly<Record<string, string>>
  /** The command line; `before` stands right before the launch that is in question. */
  command(before: readonly string[]): readonly string[]
  /** What the program prints where it sees the right mix and has got nothing that it should not have. */
  readonly report: string
}

/** One that finds its plan. */
export interface Scene extends Launch {
  /** How the launcher says that it failed. */
  readonly failure: Failure
}

export interface Failure {
  readonly statuses: readonly number[]
  readonly message: RegExp
}

const ours: Failure = { statuses: [125, 126], message: /^appc-run: .+\n(\nhint: .+\n)?$/ }

/** The program of test/campaigns/NAME.c, compiled into `directory`. */
export function compiled(name: string, directory: string): string {
  const source = fileURLToPath(new URL(`../../../test/campaigns/${name}.c`, import.meta.url))
  const built = join(directory, name)
  const warnings = ['-Wall', '-Wextra', '-Wshadow', '-Werror']
  execFileSync('cc', ['-O1', '-D_GNU_SOURCE', ...warnings, '-static', '-o', built, source], { stdio: 'inherit' })
  return built
}

/** A user's launches in one mode. */
export interface Stage {
  /** By the name of a container. */
  readonly plain: Scene
  readonly all: readonly Scene[]
}

/** For each mode. What root mounts for it is gone with the mount namespace. */
export function stages(user: User): readonly Stage[] {
  const sandbox = new Sandbox(user)
  const witness = compiled('witness', sandbox.directory)
  const [plain, ...others] = [mixed(sandbox, witness), inTree(sandbox, witness), nested(sandbox, witness)] as const
  return modes.map(mode => {
    const first = plain(mode)
    return { plain: first, all: [first, ...(mode.everywhere ? others.map(make => make(mode)) : [])] }
  })
}

type Maker = (mode: Mode) => Scene

/** Two overlays, one in the other, with all that a layer can do, and for root mounts that are carried over. */
function mixed(sandbox: Sandbox, witness: string): Maker {
  const outer = sandbox.overlay(
    'outer',
    { kept: 'host', replaced: 'host', hidden: 'host', 'inner/kept': 'host', 'inner/replaced': 'host', carried: null },
    { replaced: 'outer', added: 'outer' },
  )
  addon().makeWhiteout(join(outer.layer, 'hidden'))
  const inner = { target: join(outer.target, 'inner'), layer: sandbox.path('inner-layer'), carried: [] }
  makeTree(inner.layer, { '.appc-host': null, replaced: 'inner' })
  const carried = join(outer.target, 'carried')
  makeTree(sandbox.path('mounted'), { file: 'mounted' })
  // Below an unprivileged user's overlays there can be no mounts.
  const carries = process.geteuid?.() === 0 && sandbox.user.uid === 0
  if (carries) execFileSync('mount', ['--bind', sandbox.path('mounted'), carried])
  const kept = join(outer.target, 'kept')
  sandbox.install(
    sandbox.plan('mixed', {
      overlays: [{ ...outer, carried: carries ? [carried] : [] }, inner],
      guards: [
        identity(kept, kept),
        identity(join(outer.target, 'inner/kept'), join(outer.target, 'inner/kept')),
        identity(join(outer.target, 'replaced')),
        { kind: 'absent', path: join(outer.target, 'added'), seenAs: null },
      ],
      programs: [{ name: 'witness', path: witness }],
    }),
  )
  const seen: Seen = {
    [kept]: 'host',
    [join(outer.target, 'replaced')]: 'outer',
    [join(outer.target, 'added')]: 'outer',
    [join(outer.target, 'hidden')]: null,
    [join(outer.target, 'inner/kept')]: 'host',
    [join(outer.target, 'inner/replaced')]: 'inner',
    [join(outer.target, '.appc-host/replaced')]: 'host',
    [join(carried, 'file')]: carries ? 'mounted' : null,
    // In the working directory, which is a covered one.
    replaced: 'outer',
  }
  return mode => ({
    name: `${mode.name}, overlays`,
    ...startedBy(sandbox),
    directory: outer.target,
    command: before => [
      ...mode.below(),
      ...before,
      sandbox.launcher,
      ...mode.options(sandbox.directory),
      'mixed',
      ...Object.keys(seen),
    ],
    report: reportOf(sandbox, witness, seen, tellsOf(mode, 'mixed')),
    failure: ours,
  })
}

/** A plain program of a tree that serves as the host. */
function inTree(sandbox: Sandbox, witness: string): Maker {
  const tree = sandbox.path('tree')
  const mountPoints = { proc: null, srv: null, run: null, dev: null, [sandbox.directory]: null }
  makeTree(tree, { ...mountPoints, 'etc/name': 'tree', 'opt/lib/x': 'tree', 'opt/lib/y': 'tree' })
  makeTree(sandbox.directory, { 'tree-layer/.appc-host': null, 'tree-layer/x': 'layer', 'srv/file': 'machine' })
  const program = join(tree, 'opt/witness')
  copyFileSync(witness, program)
  sandbox.install(
    sandbox.plan('tree', {
      root: tree,
      request: [program],
      overlays: [{ target: '/opt/lib', layer: sandbox.path('tree-layer'), carried: [] }],
      binds: [
        { source: '/proc', target: '/proc' },
        { source: sandbox.path('srv'), target: '/srv' },
      ],
      guards: [identity(tree), identity(join(tree, 'opt/lib/y'), '/opt/lib/y')],
      programs: [],
    }),
  )
  const seen: Seen = {
    '/etc/name': 'tree',
    '/opt/lib/x': 'layer',
    '/opt/lib/y': 'tree',
    '/srv/file': 'machine',
    '/etc/passwd': null,
    'lib/x': 'layer',
  }
  return mode => ({
    name: `${mode.name}, --root`,
    ...startedBy(sandbox, tree),
    // The tree has it too.
    directory: '/opt',
    command: before => [
      ...mode.below(),
      ...before,
      sandbox.launcher,
      ...mode.options(sandbox.directory),
      '--root',
      tree,
      '/opt/witness',
      ...Object.keys(seen),
    ],
    report: reportOf(sandbox, witness, seen, tellsOf(mode, 'appc', tree)),
    failure: ours,
  })
}

/** A launch from inside another container, which has to find the host first. */
function nested(sandbox: Sandbox, witness: string): Maker {
  const shared = sandbox.overlay('shared', { x: 'host', y: 'host' }, { x: 'around' })
  const second = { ...shared, layer: sandbox.path('second-layer') }
  makeTree(second.layer, { '.appc-host': null, y: 'within' })
  const guards = [identity(join(shared.target, 'x')), identity(join(shared.target, 'y'))]
  const env = [{ name: 'env', path: realpathSync('/usr/bin/env') }]
  sandbox.install(sandbox.plan('around', { overlays: [shared], guards, programs: env }))
  const programs = [{ name: 'witness', path: witness }]
  sandbox.install(sandbox.plan('within', { overlays: [second], guards, programs }))
  const seen: Seen = {
    [join(shared.target, 'x')]: 'host',
    [join(shared.target, 'y')]: 'within',
    y: 'within',
  }
  return mode => ({
    name: `${mode.name}, in a container`,
    ...startedBy(sandbox),
    directory: shared.target,
    command: before => [
      ...[...mode.below(), sandbox.launcher, 'around', ...before],
      ...[sandbox.launcher, ...mode.options(sandbox.directory), 'within', ...Object.keys(seen)],
    ],
    report: reportOf(sandbox, witness, seen, tellsOf(mode, 'within')),
    failure: ours,
  })
}

/** Bubblewrap, for comparison, with the files laid over the host's one by one. */
export function bubblewrap(user: User): readonly Scene[] {
  const sandbox = new Sandbox(user)
  const program = compiled('witness', sandbox.directory)
  const { target, layer } = sandbox.overlay('host', { kept: 'host', replaced: 'host' }, { replaced: 'layer' })
  const [kept, replaced] = [join(target, 'kept'), join(target, 'replaced')]
  const bind = ['bwrap', '--dev-bind', '/', '/', '--ro-bind', join(layer, 'replaced'), replaced, '--']
  const command = (before: readonly string[]) => [...before, ...bind, program, kept, replaced]
  const scene = {
    name: 'bubblewrap',
    ...startedBy(sandbox),
    directory: sandbox.directory,
    command,
    report: reportOf(
      sandbox,
      program,
      { [kept]: 'host', [replaced]: 'layer' },
      { 'own namespaces': 'mnt', 'no new privileges': '1' },
    ),
    failure: { statuses: [1], message: /^bwrap: .+\n$/ },
  }
  return [scene]
}

/** What each path holds inside; null for what is not there. */
type Seen = Readonly<Record<string, string | null>>

/** Those that a confinement makes private. */
const privateDirectories = ['/tmp', '/var/tmp', '/home', '/root', '/run', '/dev']

function tellsOf(mode: Mode, name: string, root = '/'): Readonly<Record<string, string>> {
  return mode.tells(
    name,
    privateDirectories.filter(directory => existsSync(join(root, directory))),
  )
}

/** OUTSIDE tells the witness what it is to compare with. */
function startedBy(sandbox: Sandbox, root = '/'): Pick<Launch, 'user' | 'environment'> {
  const namespaces = ['mnt', 'pid', 'ipc', 'uts', 'net'].map(kind => readlinkSync(`/proc/self/ns/${kind}`))
  const directories = privateDirectories.flatMap(directory => {
    const status = statSync(join(root, directory), { throwIfNoEntry: false })
    return status === undefined ? [] : [`${directory}=${status.dev}:${status.ino}`]
  })
  const outside = [...namespaces, ...directories].map(word => ` ${word} `).join('')
  return { user: sandbox.user, environment: sandbox.environment({ OUTSIDE: outside }) }
}

/** What the witness tells: as without appc, but for what `tells` says, and what it sees. */
function reportOf(sandbox: Sandbox, witness: string, seen: Seen, tells: Readonly<Record<string, string>>): string {
  // Below a shell that is the user's too, as the launcher's callers are.
  const line = ['sh', '-c', '"$0"; exit $?', witness]
  const { stdout, status } = run({ ...startedBy(sandbox), directory: '/' }, line, devNull)
  if (status !== witnessStatus) throw new Error(`the witness does not run: ${status}`)
  const told = stdout.replace(/^(.+?):.*$/gm, (line, what) =>
    tells[what] === undefined ? line : `${what}: ${tells[what]}`,
  )
  const contents = Object.entries(seen).map(([path, content]) => `${path}: ${content ?? 'ENOENT'}\n`)
  return `${told}${contents.join('')}`
}

const devNull = openSync('/dev/null', 'r')

/** Runs a command line as a launch's user would, with `passed` as a descriptor besides the standard streams. */
export function run(
  { user, environment, directory }: Pick<Launch, 'user' | 'environment' | 'directory'>,
  line: readonly string[],
  passed: number,
  timeout = 0,
): SpawnSyncReturns<string> {
  const [file = '', ...args] = line
  return spawnSync(file, args, {
    ...user,
    cwd: directory,
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe', passed],
    timeout,
    killSignal: 'SIGKILL',
  })
}

/** Launches by test/campaigns/crowd.c: one after the other, or all at the same time. */
export function runCrowd(crowd: string, how: 'row' | 'once', count: number, launch: Launch) {
  const line = [crowd, how, String(count), String(witnessStatus), launch.report, ...launch.command([])]
  const { status, stdout, stderr } = run(launch, line, 0)
  return { told: (stdout + stderr).trim(), failed: status === 0 ? null : 'launches failed' }
}
