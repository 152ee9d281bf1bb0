import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readPlan } from '../../lib/launch/destination.js'
import { changedPaths } from '../../lib/plan/refresh.js'
import { listRefs } from '../../lib/store/refs.js'
import { byHash } from '../../lib/store/soundness.js'
import type { Store } from '../../lib/store/store.js'
import { hasCode } from '../../lib/store/writing.js'
import { type Asked, checkContent, keyOf, type Launch, planThatHolds, type Views, viewIn } from './collector-launch.js'
import { expect, modeOf, objectAt, sha256, type World } from './collector-world.js'

/** Everything that a store's containers need: each object with its mode, and each secret. */
export function neededIn(world: World, store: Store) {
  const objects = new Map<string, number>()
  const secrets = new Set<string>()
  for (const name of listRefs(store))
    for (const { container, settings } of world.lines(store, name) ?? []) {
      objects.set(objectAt(store.home, container, false), 0o444)
      for (const text of world.texts.get(container) ?? []) add(sha256(text), modeOf(text))
      for (const file of settings.files) {
        if ('secret' in file) secrets.add(file.secret)
        else add(file.sha256, file.mode)
      }
    }
  return { objects, secrets }

  function add(digest: string, mode: number): void {
    const executable = (mode & 0o111) !== 0
    objects.set(objectAt(store.home, digest, executable), executable ? 0o555 : 0o444)
  }
}

/** Whatever happened: all that can be reached is there, with its bytes. */
export function checkReachable(world: World, views: Views, launches: readonly Launch[], asked: readonly Asked[]): void {
  for (const store of [world.own, world.system]) {
    const { objects, secrets } = neededIn(world, store)
    for (const [path, mode] of objects) {
      const text = textOf(path)
      expect(text !== null, () => `a container's ${path} is gone`)
      expect(sha256(text) === digestIn(store, path), () => `${path} has other bytes`)
      expect((lstatSync(path).mode & 0o7777) === mode, () => `${path} has another mode`)
    }
    for (const id of secrets) {
      expect(textOf(join(store.home, 'secrets', id)) === world.settings.get(id), () => `the secret ${id} is gone`)
      expect(existsSync(join(store.home, 'secrets', `${id}.json`)), () => `what the secret ${id} is to be is gone`)
    }
  }
  for (const launch of launches) launch.check()
  for (const one of asked) checkPlan(world, views, one)
}

function digestIn({ home }: Store, path: string): string {
  return path.slice(join(home, 'objects/').length).replace(/\.x$/, '').replace('/', '')
}

/** What the launcher would take as it is must lead to a whole view. */
function checkPlan(world: World, views: Views, asked: Asked): void {
  const plan = planThatHolds(world, asked)
  if (plan === null) return
  const contents = views.get(viewIn(plan)) ?? []
  for (const [index, { layer }] of plan.overlays.entries())
    checkContent(world, layer, contents[index] ?? new Map(), `the plan ${keyOf(asked)}`)
}

/** What can be started as it is, by the key of its plan, with the refs that this rests on as they are now. */
export function startable(world: World, asked: readonly Asked[]): ReadonlyMap<string, string> {
  const held = asked.filter(one => planThatHolds(world, one) !== null)
  return new Map(held.map(one => [keyOf(one), refsOf(world, one)]))
}

/**
 * Of that everything can still be started, but where generations of its container were forgotten: then it is planned for anew. So it is
 * where a secret lost its name in another view, of which no plan is told by its bytes.
 */
export function checkStartable(world: World, asked: readonly Asked[], before: ReadonlyMap<string, string>): void {
  for (const one of asked) {
    if (before.get(keyOf(one)) !== refsOf(world, one) || planThatHolds(world, one) !== null) continue
    const changed = changedIn(world, one)
    const others = changed?.filter(path => !path.startsWith(join(world.own.home, 'secrets/')))
    expect(
      changed?.length !== 0 && others?.length === 0,
      () => `the plan ${keyOf(one)} does not hold any more: ${changed?.join(' ') ?? 'it is gone'}`,
    )
  }
}

/** null where there is no plan. */
function changedIn({ own }: World, asked: Asked): readonly string[] | null {
  const plan = readPlan({ store: own, key: keyOf(asked), root: asked.root })
  return plan && changedPaths(own, plan, byHash(own))
}

function refsOf({ own, system }: World, { kind, subject }: Asked): string {
  if (kind === 'program') return ''
  const paths = [own, system].map(({ home }) => join(home, 'refs', subject))
  return paths.map(path => lstatSync(path, { throwIfNoEntry: false })?.ino ?? 'none').join(' ')
}

/** Nothing is left that nobody needs: to be called when the collector had time enough. */
export function checkNoLeak(world: World, launches: readonly Launch[], asked: readonly Asked[]): void {
  const { own } = world
  const { objects, secrets } = neededIn(world, own)
  const used = new Set(launches.filter(({ isHeld }) => isHeld).map(({ view }) => view.split('/')[1]))
  const plans = readdirSync(join(own.home, 'plans'))
  const possible = new Set(asked.filter(isPossible).map(keyOf))
  for (const plan of plans) expect(possible.has(plan), () => `the plan ${plan} is left`)

  const linked = new Set<bigint>()
  const planned = new Set(asked.filter(isPossible).flatMap(one => viewPlanned(world, one)))
  for (const view of below(join(own.home, 'views'), 2))
    expect(planned.has(view) || used.has(view.split('/')[1]), () => `the view ${view} is left`)
  const aside = below(join(own.home, 'quarantine'), 4)
  const left = aside.filter(path => !used.has(path.split('/')[3]))
  expect(left.length === 0, () => `left in quarantine: ${left.join(' ')}`)
  for (const name of readdirSync(join(own.home, 'quarantine')))
    expect(
      aside.some(path => path.startsWith(`${name}/`)),
      () => `${name} is left in quarantine, empty`,
    )
  for (const name of readdirSync(join(own.home, 'views')))
    expect(readdirSync(join(own.home, 'views', name)).length > 0, () => `views/${name} is left, empty`)
  for (const directory of ['views', 'quarantine'])
    for (const path of below(join(own.home, directory))) linked.add(inodeOf(join(own.home, directory, path)))

  for (const path of below(join(own.home, 'objects'))) {
    const at = join(own.home, 'objects', path)
    expect(objects.has(at) || linked.has(inodeOf(at)), () => `the object ${path} is left`)
  }
  for (const name of readdirSync(join(own.home, 'secrets'))) {
    const id = name.replace('.json', '')
    const at = join(own.home, 'secrets', id)
    expect(secrets.has(id) || (existsSync(at) && linked.has(inodeOf(at))), () => `the secret ${name} is left`)
  }
  expect(readdirSync(join(own.home, 'tmp')).length === 0, () => 'something is left in tmp')

  function isPossible(one: Asked): boolean {
    if (one.root !== null && !existsSync(one.root)) return false
    if (one.kind === 'program') return existsSync(one.subject)
    return [own, world.system].some(store => world.lines(store, one.subject) !== null)
  }
}

/** A plan that does not hold is there until the next launch, and so is its view. */
function viewPlanned({ own }: World, asked: Asked): readonly string[] {
  const plan = readPlan({ store: own, key: keyOf(asked), root: asked.root })
  return plan === null ? [] : [viewIn(plan)]
}

function inodeOf(path: string): bigint {
  return lstatSync(path, { bigint: true }).ino
}

/** Paths of files below a directory; with a depth, of whatever lies so deep. Links are not followed. */
export function below(directory: string, depth = Number.POSITIVE_INFINITY): readonly string[] {
  if (depth === 0) return []
  return readdirSync(directory, { withFileTypes: true }).flatMap(entry => {
    if (depth === 1 || !entry.isDirectory()) return [entry.name]
    return below(join(directory, entry.name), depth - 1).map(path => join(entry.name, path))
  })
}

function everything(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap(entry => [
    entry.name,
    ...(entry.isDirectory() ? everything(join(directory, entry.name)).map(path => join(entry.name, path)) : []),
  ])
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null
    throw error
  }
}

/** All that a store is, to be compared: names, inodes, modes, sizes and times of change. */
export function snapshot({ home }: Store): string {
  return everything(home)
    .map(path => {
      const { ino, mode, size, ctimeNs, nlink } = lstatSync(join(home, path), { bigint: true })
      return [path, ino, mode, size, ctimeNs, nlink].join(' ')
    })
    .sort()
    .join('\n')
}
