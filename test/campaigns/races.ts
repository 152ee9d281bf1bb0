import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync, openSync, readdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { encodePlan } from '../../lib/plan/file.js'
import type { Plan } from '../../lib/plan/types.js'
import { coldStatus, makeTree, Sandbox, type User } from '../native/fixture.js'
import { run } from './stage.js'

const project = fileURLToPath(new URL('../../..', import.meta.url))

/** The harness around native/core. */
export function compiledRacer(directory: string): string {
  const core = join(project, 'native/core')
  const sources = readdirSync(core).flatMap(name => (name.endsWith('.cpp') ? [join(core, name)] : []))
  const racer = join(directory, 'racer')
  const flags = ['-std=c++17', '-O2', '-Wall', '-Wextra', '-Wshadow', '-Werror', `-I${core}`]
  execFileSync('g++', [...flags, '-o', racer, join(project, 'test/campaigns/racer.cpp'), ...sources], {
    stdio: 'inherit',
  })
  return racer
}

/** Something to be mounted while an attacker exchanges names on the way to it. */
export interface Arena {
  readonly name: string
  readonly sandbox: Sandbox
  readonly plan: string
  /** Names that are exchanged for each other. */
  readonly pairs: readonly (readonly [string, string])[]
  /** Where nothing may be mounted, and from where nothing may come. */
  readonly forbidden: readonly string[]
  /** A whole launch that shows its mount table, after these options; none where there is no program. */
  readonly command: ((options: readonly string[]) => readonly string[]) | null
}

/** The attacker owns all directories, as the owner of a home does that root launches something in. */
export function arenas(user: User, attacker: User): readonly Arena[] {
  const sandbox = new Sandbox(user)
  const forbidden = sandbox.path('forbidden')
  for (const name of ['', 'target', 'inner', 'layer', 'lib', 'srv'])
    makeTree(join(forbidden, name), { forbidden: '', '.appc-host': null, inner: null })
  const made = [onHost(sandbox, forbidden), inTree(sandbox, forbidden)]
  giveAway(sandbox.directory, attacker)
  return made
}

/** Two overlays, one in the other: targets, layers and what they lie in are under attack. */
function onHost(sandbox: Sandbox, forbidden: string): Arena {
  const target = sandbox.path('host/target')
  const layers = sandbox.path('layers')
  makeTree(sandbox.path('shown'), { x: 'shown' })
  makeTree(target, { x: 'host', 'inner/x': 'host' })
  for (const name of ['layer', 'inner']) makeTree(join(layers, name), { '.appc-host': null, x: 'layer' })
  const overlays = [
    { target, layer: join(layers, 'layer'), carried: [] },
    { target: join(target, 'inner'), layer: join(layers, 'inner'), carried: [] },
  ]
  const pairs = [
    twin(target, forbidden, 'target'),
    twin(join(target, 'inner'), forbidden, 'inner'),
    twin(sandbox.path('host'), forbidden),
    detour(sandbox.path('host'), 'target', join(forbidden, 'target')),
    twin(join(layers, 'layer'), forbidden, 'layer'),
    twin(join(layers, 'inner'), forbidden, 'inner'),
    twin(layers, forbidden),
    detour(layers, 'layer', join(forbidden, 'layer')),
    twin(sandbox.path('shown'), forbidden, 'srv'),
  ]
  const programs = [{ name: 'cat', path: realpathSync('/bin/cat') }]
  const plan = sandbox.plan('host', { overlays, programs })
  sandbox.install(plan)
  const command = (options: readonly string[]) => [sandbox.launcher, ...options, 'host', '/proc/self/mountinfo']
  return { ...arena('targets and layers', sandbox, plan, pairs, forbidden), command }
}

/** A tree that serves as the host: itself, what it lies in, a target and a mount point in it. */
function inTree(sandbox: Sandbox, forbidden: string): Arena {
  const trees = sandbox.path('trees')
  const tree = join(trees, 'tree')
  const layer = sandbox.path('tree-layer')
  makeTree(tree, { 'opt/lib/x': 'tree', srv: null })
  makeTree(layer, { '.appc-host': null, x: 'layer' })
  makeTree(sandbox.path('shared'), { file: 'machine' })
  // Below the forbidden directory they have the names that they have in the tree.
  makeTree(forbidden, { 'tree/forbidden': '', 'tree/opt/lib/forbidden': '', 'tree/srv/forbidden': '' })
  const pairs = [
    twin(tree, forbidden, 'tree'),
    twin(trees, forbidden),
    twin(join(tree, 'opt'), forbidden),
    twin(join(tree, 'opt/lib'), forbidden, 'lib'),
    detour(join(tree, 'opt'), 'lib', join(forbidden, 'lib')),
    twin(join(tree, 'srv'), forbidden, 'srv'),
    twin(layer, forbidden, 'layer'),
  ]
  const plan = sandbox.plan('tree', {
    root: tree,
    overlays: [{ target: '/opt/lib', layer, carried: [] }],
    binds: [{ source: sandbox.path('shared'), target: '/srv' }],
  })
  return arena('a tree', sandbox, plan, pairs, forbidden)
}

function arena(name: string, sandbox: Sandbox, plan: Plan, pairs: Arena['pairs'], forbidden: string): Arena {
  const path = sandbox.path(`${plan.name}.plan`)
  writeFileSync(path, encodePlan(plan))
  const below = readdirSync(forbidden, { recursive: true, withFileTypes: true, encoding: 'utf8' })
  const directories = below.flatMap(entry => (entry.isDirectory() ? [join(entry.parentPath, entry.name)] : []))
  return { name, sandbox, plan: path, pairs, forbidden: [forbidden, ...directories], command: null }
}

/** A link beside a directory that leads to what must not be reached. */
function twin(path: string, forbidden: string, name = ''): readonly [string, string] {
  const other = `${path}.twin`
  symlinkSync(join(forbidden, name), other)
  return [path, other]
}

/** A directory beside another, in which `name` leads there. */
function detour(path: string, name: string, to: string): readonly [string, string] {
  const other = `${path}.detour`
  mkdirSync(other)
  symlinkSync(to, join(other, name))
  return [path, other]
}

function giveAway(directory: string, { uid, gid }: User): void {
  if (process.geteuid?.() !== 0) return
  for (const entry of readdirSync(directory, { withFileTypes: true }))
    if (entry.isDirectory()) giveAway(join(directory, entry.name), { uid, gid })
  chownSync(directory, uid, gid)
}

/** Runs `meanwhile` while names are exchanged; how often they were comes along. */
export async function underAttack<T>(
  attack: { readonly program: string; readonly seed: number; readonly attacker: User },
  { pairs }: Arena,
  meanwhile: () => Promise<T>,
): Promise<readonly [T, number]> {
  const child = spawn(attack.program, [String(attack.seed), ...pairs.flat()], {
    ...attack.attacker,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const told = text(child.stdout)
  try {
    return [await meanwhile(), Number(await ended())]
  } finally {
    child.kill('SIGKILL')
  }
  function ended(): Promise<string> {
    child.kill('SIGTERM')
    return told
  }
}

export interface Race {
  readonly attempts: number
  readonly mounted: number
  readonly escapes: number
}

/** `below`: what the racer runs below. */
export async function race(
  racer: string,
  how: 'core' | 'naive',
  attempts: number,
  arena: Arena,
  below: readonly string[] = [],
): Promise<Race> {
  const line = [...below, racer, how, arena.plan, String(attempts), ...arena.forbidden]
  const child = spawn(line[0] ?? racer, line.slice(1), {
    ...arena.sandbox.user,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [told] = await Promise.all([text(child.stdout), once(child, 'exit')])
  if (child.exitCode !== 0) throw new Error(`the racer ended with ${child.exitCode ?? child.signalCode}`)
  const [tried = 0, mounted = 0, escapes = 0] = told.split(' ').map(Number)
  return { attempts: tried, mounted, escapes }
}

/** Whole launches, plain and confined ones in turn, the latter with a path to be shown that is under attack too. */
export async function raceLaunches(count: number, { sandbox, command }: Arena): Promise<Race> {
  const passed = openSync('/dev/null', 'r')
  const started = { user: sandbox.user, environment: sandbox.environment(), directory: '/' }
  const result = { attempts: 0, mounted: 0, escapes: 0 }
  while (command !== null && result.attempts < count) {
    const options = result.attempts % 2 === 0 ? [] : ['--sandbox', '--ro', sandbox.path('shown')]
    const { status, stdout, stderr } = run(started, command(options), passed)
    result.attempts += 1
    if (status === 0) result.mounted += 1
    // In the mount table stands from where a mount was taken (a root of its own) and where it lies.
    if (stdout.split('\n').some(line => / - /.test(line) && line.includes('/forbidden'))) result.escapes += 1
    const refused = status === coldStatus || (status === 125 && stdout === '' && stderr !== '')
    if (status !== 0 && !refused) throw new Error(`a launch ended with ${status}: ${stdout}${stderr}`)
  }
  return result
}
