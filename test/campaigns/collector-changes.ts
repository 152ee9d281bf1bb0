import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { changeSettings } from '../../lib/container/change.js'
import { removeContainer } from '../../lib/container/containers.js'
import { copyContainer, rollBack } from '../../lib/container/history.js'
import { takeSetting } from '../../lib/container/setting-files.js'
import { withFile, withoutFile } from '../../lib/container/settings.js'
import type { Store } from '../../lib/store/store.js'
import { withLinks, withLock } from '../../lib/store/store.js'
import { listQuarantine } from '../../lib/upkeep/quarantine.js'
import { below } from './collector-checks.js'
import { objectAt, type World } from './collector-world.js'

/** Containers of the user; the last one is the system's, unless he makes one of that name. */
export const NAMES = ['a', 'b', 'c', 'sys']
const PATHS = ['/etc/made/one', '/etc/made/two', '/opt/made/three']

/** What changes the stores. */
export interface Operation {
  readonly name: string
  /** It takes views away. */
  readonly removes?: boolean
  run(world: World): void
  /** What has to be true of the model afterwards, also when it was ended on the way. */
  settle?(world: World): void
}

function someOf(world: World): readonly string[] {
  const texts = ['lib', 'LIB', 'data', 'DATA', 'module', 'x', 'Y', 'z', 'W']
  return [...new Set(Array.from({ length: 1 + world.random.below(4) }, () => world.random.pick(texts)))].filter(
    text => text !== 'ENTRY',
  )
}

function existing(world: World, store: Store): string | null {
  const names = NAMES.filter(name => world.lines(store, name) !== null)
  return names.length === 0 ? null : world.random.pick(names)
}

export const pack: Operation = {
  name: 'pack',
  run: world => world.pack(world.own, world.random.pick(NAMES.slice(0, 3)), someOf(world)),
}

const packSystem: Operation = { name: 'pack for all', run: world => world.pack(world.system, 'sys', someOf(world)) }

let latest = ''

function set(mode: number): Operation {
  return {
    name: mode === 0o600 ? 'set a secret' : 'set a file',
    run: world => {
      const name = existing(world, world.own)
      if (name === null) return
      const path = world.random.pick(PATHS)
      const text = `${mode === 0o600 ? 'secret' : 'open'}${world.random.below(4)}`
      latest = text
      const source = { bytes: Buffer.from(text), mode, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
      changeSettings(world.own, name, 'settings', (settings, writer) =>
        withFile(settings, takeSetting(writer, settings, path, source)),
      )
    },
    settle: world => {
      for (const name of NAMES)
        for (const { settings } of world.lines(world.own, name) ?? [])
          for (const file of settings.files)
            if ('secret' in file && !world.settings.has(file.secret)) world.settings.set(file.secret, latest)
    },
  }
}

const unset: Operation = {
  name: 'unset',
  run: world => {
    const name = existing(world, world.own)
    const path = world.random.pick(PATHS)
    if (name !== null) changeSettings(world.own, name, 'settings', settings => withoutFile(settings, path))
  },
}

const rollback: Operation = {
  name: 'roll back',
  run: world => {
    const name = existing(world, world.own)
    const lines = name === null ? [] : (world.lines(world.own, name) ?? [])
    if (name !== null) rollBack(world.own, name, world.random.pick(lines).number)
  },
}

const copy: Operation = {
  name: 'copy',
  run: world => {
    const from = world.random.once(3) ? world.system : world.own
    const [source, free] = [
      existing(world, from),
      NAMES.slice(0, 3).find(name => world.lines(world.own, name) === null),
    ]
    if (source !== null && free !== undefined) copyContainer(from, source, world.own, free)
  },
}

const remove: Operation = {
  name: 'remove',
  removes: true,
  run: world => {
    const name = existing(world, world.own)
    if (name !== null) removeContainer(world.own, name)
  },
}

const removeSystem: Operation = {
  name: 'remove for all',
  run: world => {
    if (world.lines(world.system, 'sys') !== null) removeContainer(world.system, 'sys')
  },
}

const upgradeHost: Operation = {
  name: 'the host changes',
  run: world => {
    world.host++
    writeFileSync(`${world.hostFile}.new`, String(world.host))
    renameSync(`${world.hostFile}.new`, world.hostFile)
  },
}

const replaceTree: Operation = {
  name: 'another tree',
  run: world => renameSync(makeAside(world), world.tree),
  settle: world => mkdirSync(world.tree, { recursive: true }),
}

function makeAside(world: World): string {
  const aside = join(world.base, 'new-tree')
  rmSync(aside, { recursive: true, force: true })
  mkdirSync(aside)
  return aside
}

/** As a repair does that finds the right bytes in quarantine. */
const takeBack: Operation = {
  name: 'take back an object',
  run: world => {
    const found = listQuarantine(world.own).flatMap(({ directory }) => {
      const objects = join(directory, 'objects')
      return statSync(objects, { throwIfNoEntry: false }) === undefined
        ? []
        : below(objects).map(path => [objects, path])
    })
    if (found.length === 0) return
    const [from = '', path = ''] = world.random.pick(found)
    const to = join(world.own.home, 'objects', path)
    withLock(world.own, 'shared', () =>
      withLinks(world.own, () => {
        mkdirSync(dirname(to), { recursive: true })
        if (statSync(to, { throwIfNoEntry: false }) === undefined) linkSync(join(from, path), to)
      }),
    )
  },
}

export const changes: readonly Operation[] = [
  pack,
  pack,
  pack,
  packSystem,
  set(0o644),
  set(0o600),
  unset,
  rollback,
  copy,
  remove,
  removeSystem,
  upgradeHost,
  replaceTree,
  takeBack,
]

export interface Damage {
  readonly what: string
  /** The container that nothing can be told of. */
  readonly name: string
  undo(): void
}

/** Damages a ref or a manifest, so that it cannot be told what a container needs; null where there is none. */
export function damage(world: World): Damage | null {
  const { own, random } = world
  const name = existing(world, own)
  if (name === null) return null
  const ref = join(own.home, 'refs', name)
  const [path, what] = random.once(2)
    ? ([ref, `the ref of ${name}`] as const)
    : [objectAt(own.home, random.pick(world.lines(own, name) ?? []).container, false), `a manifest of ${name}`]
  const aside = join(world.base, 'aside')
  const bytes = readFileSync(path)
  renameSync(path, aside)
  // Who was killed before the second copy was written has made nothing yet.
  const isKnown = path !== ref || existsSync(join(own.home, 'spare', name))
  const how = random.pick(['flipped', 'cut short', 'emptied', ...(isKnown ? ['gone'] : [])])
  if (how !== 'gone') {
    const at = random.below(bytes.length)
    const flipped = Buffer.from(bytes)
    flipped.writeUInt8(flipped.readUInt8(at) ^ (1 + random.below(255)), at)
    writeFileSync(path, how === 'flipped' ? flipped : bytes.subarray(0, how === 'emptied' ? 0 : at))
  }
  return { what: `${what} ${how}`, name, undo: () => renameSync(aside, path) }
}
