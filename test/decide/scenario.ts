import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Container, isExecutable } from '../../lib/container/containers.js'
import { changePolicy } from '../../lib/container/host-policy.js'
import { packContainer } from '../../lib/container/pack.js'
import type { PolicyRule } from '../../lib/container/policy.js'
import { applicationFiles } from '../../lib/container/record.js'
import type { PackedRegular } from '../../lib/container/types.js'
import { decide } from '../../lib/decide/decide.js'
import type { Decision, Host } from '../../lib/decide/types.js'
import { addon } from '../../lib/launch/addon.js'
import { hostAt } from '../../lib/launch/machine.js'
import { openHostFile } from '../../lib/loader/root-file-system.js'
import { objectPath } from '../../lib/store/objects.js'
import { createStore, type Store } from '../../lib/store/store.js'
import { compile, hostLoader } from '../container/tree.js'
import { type DebianPackage, installPackages } from '../host/debian.js'
import { temporaryDirectory } from '../support/fixtures.js'

export type Content = string | Buffer | { readonly link: string }
export type Files = Readonly<Record<string, Content>>

const machine = hostLoader()
const base = temporaryDirectory()
let count = 0

/** A directory for what one test needs, removed with all others at the end. */
export function fresh(): string {
  const directory = join(base, String(count++))
  mkdirSync(directory)
  return directory
}

/** Where libraries lie in merged trees; in split ones libraries of the system's core lie in `splitLibraries`. */
export const libraries = machine.directory.replace(/^(?!\/usr)/, '/usr')
export const splitLibraries = machine.directory.replace(/^\/usr/, '')

/** The machine's own glibc, so that programs really run in the trees. */
export function glibc(directory = libraries, libc: Buffer = machine.libc, loader: Buffer = machine.loader): Files {
  const name = basename(machine.interpreter)
  return {
    [`${directory}/libc.so.6`]: libc,
    [`${directory}/${name}`]: loader,
    [machine.interpreter]: { link: `${directory}/${name}` },
  }
}

/** A root tree with these files and no package database. */
export function tree(files: Files, core: Files = glibc(), shape: 'merged' | 'split' = 'merged'): string {
  const root = withMountPoints(fresh())
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    mkdirSync(join(root, shape === 'merged' ? 'usr' : '', name), { recursive: true })
    if (shape === 'merged') symlinkSync(`usr/${name}`, join(root, name))
  }
  for (const [path, content] of Object.entries({ ...core, ...files })) put(root, path, content)
  return root
}

/** A root tree with these packages, and the machine's glibc as libc6, installed by the real dpkg. */
export function debian(packages: readonly DebianPackage[], libc6: Files = glibc()): string {
  const control = { Package: 'libc6', Version: '2.36-9', 'Multi-Arch': 'same', Essential: 'yes' }
  const root = installPackages(withMountPoints(fresh()), [{ control, files: libc6 }, ...packages])
  // The kernel starts the loader only where it may be executed.
  for (const [path, content] of Object.entries(libc6))
    if (!(typeof content === 'object' && 'link' in content)) chmodSync(join(root, path), 0o755)
  return root
}

/** A package with these files. */
export function shipping(name: string, version: string, files: Files, depends = 'libc6'): DebianPackage {
  return { control: { Package: name, Version: version, 'Multi-Arch': 'same', Depends: depends }, files }
}

/** For what a --root tree has of the machine; without /proc no loader knows what $ORIGIN is. */
function withMountPoints(root: string): string {
  for (const name of ['proc', 'sys', 'dev', 'tmp']) mkdirSync(join(root, name))
  return root
}

/** Puts a file into a tree; those that are ELF files or scripts can be started. */
export function put(root: string, path: string, content: Content): string {
  const full = join(root, path)
  mkdirSync(dirname(full), { recursive: true })
  rmSync(full, { force: true })
  if (typeof content === 'object' && 'link' in content) symlinkSync(content.link, full)
  else {
    writeFileSync(full, content)
    chmodSync(full, /^(#!|\x7fELF)/.test(readFileSync(full, 'latin1')) ? 0o755 : 0o644)
  }
  return full
}

/** A program of C source that is linked with these libraries, by file name. */
export function program(
  source: string,
  linked: Readonly<Record<string, Buffer>> = {},
  flags: readonly string[] = [],
): Buffer {
  // What the libraries themselves need is the real loader's question, not the linker's.
  return compile(source, ['-Wl,--allow-shlib-undefined', '-Wl,--no-as-needed', ...flags], linked)
}

export interface Outcome {
  readonly container: Container
  readonly decision: Decision
  readonly host: Host
  /** Sonames of private libraries, and of shared ones, the C library's own left out where it is shared as it mostly is. */
  readonly private: readonly string[]
  readonly shared: readonly string[]
  /** The texts of the reasons for one library, with their rules: `versions: …`. */
  why(soname: string): string
  packages(): readonly string[]
  /** Names of the host that are hidden. */
  hidden(): readonly string[]
  problems(): readonly string[]
  /** Runs the container in the host's tree by the real launcher: the plan is made, the view built, the overlays mounted. */
  run(...args: string[]): Run
}

export type Run = Pick<SpawnSyncReturns<string>, 'status' | 'stdout' | 'stderr'>

const GLIBC = new Set(['libc.so.6', basename(machine.interpreter)])

/** Packs `entries` of the tree `home`, with what a run opened, and decides for the tree `host` under this policy. */
export function mix(
  home: string,
  host: string,
  entries: readonly string[] = ['app'],
  opened: readonly string[] = [],
  policy: readonly PolicyRule[] = [],
): Outcome {
  const store = newStore()
  if (policy.length > 0) changePolicy(store, () => policy)
  const container = packInto(store, home, entries, 'app', opened)
  const at = { ...hostAt(host, {}), policy }
  const decision = decide(container.manifest, at, openIn(store))
  const chosen = (choice: 'shared' | 'private') =>
    decision.libraries.filter(library => library.choice === choice).map(({ soname }) => soname)
  return {
    container,
    decision,
    host: at,
    private: chosen('private'),
    shared: chosen('shared').filter(soname => !GLIBC.has(soname)),
    why: soname => reasons(decision.libraries.find(library => library.soname === soname)?.reasons),
    packages: () => decision.packages.filter(({ choice }) => choice === 'private').map(({ name }) => name),
    hidden: () => [...decision.placement].flatMap(([path, { kind }]) => (kind === 'whiteout' ? [path] : [])).sort(),
    problems: () => decision.problems.map(({ kind, text }) => `${kind}: ${text}`),
    run: (...args) => launch(store, host, args),
  }
}

function reasons(list: readonly { readonly rule: string; readonly text: string }[] = []): string {
  return list.map(({ rule, text }) => `${rule}: ${text}`).join('\n')
}

export function newStore(): Store {
  const store: Store = { home: join(fresh(), 'store'), system: addon() }
  createStore(store, process.geteuid?.() ?? 0)
  return store
}

export function packInto(
  store: Store,
  root: string,
  entries: readonly string[] = ['app'],
  name = 'app',
  opened: readonly string[] = [],
): Container {
  const files = new Map(opened.map(path => [path, path]))
  const record = () => ({ files, programs: new Set<string>(), counts: applicationFiles([]) })
  const nothingElse = { include: [], withEssential: false, withDocumentation: false, withLocales: false }
  return packContainer({ root, name, entries, record, ...nothingElse }, store)
}

export function openIn(store: Store): (file: PackedRegular) => ReturnType<typeof openHostFile> {
  return file => openHostFile(objectPath(store, file.sha256, isExecutable(file.mode)))
}

export const launcher = fileURLToPath(new URL('../../../build/Release/appc-run', import.meta.url))

/** Runs the container `app` with the tree `root` as its host. */
export function launch(store: Store, root: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Run {
  const { status, stdout, stderr } = spawnSync(launcher, ['--root', root, 'app', ...args], {
    encoding: 'utf8',
    cwd: '/',
    env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, APPC_HOME: store.home, ...env },
  })
  return { status, stdout, stderr }
}

/** Runs a program in a tree as its root, by the tree's own loader: what really happens there. */
export function inTree(
  root: string,
  path: string,
  env: Readonly<Record<string, string>> = {},
  args: readonly string[] = [],
): Run {
  const [command, ...before] =
    process.geteuid?.() === 0 ? ['chroot', root] : ['unshare', '--map-root-user', `--root=${root}`]
  const options = { encoding: 'utf8', cwd: '/', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env } } as const
  const { status, stdout, stderr } = spawnSync(command as string, [...before, path, ...args], options)
  return { status, stdout, stderr }
}

/**
 * What becomes of the tree's program when nothing is private but what is named: it is copied into the host's tree, with those
 * libraries beside it, and run there by the host's own loader.
 */
export function withoutOthers(home: string, host: string, own: readonly string[] = [], path = '/usr/bin/app'): Run {
  const trial = join(host, 'trial')
  put(host, '/trial/program', readFileSync(join(home, path)))
  for (const soname of own) put(host, `/trial/${soname}`, readFileSync(join(home, libraries, soname)))
  try {
    return inTree(host, '/trial/program', { LD_LIBRARY_PATH: '/trial', LD_BIND_NOW: '1' })
  } finally {
    rmSync(trial, { recursive: true })
  }
}
