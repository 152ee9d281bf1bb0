import { execFileSync } from 'node:child_process'
import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../fuzz/random.js'
import type { Picture } from './corruption-judge.js'
import { isWithin } from './corruption-judge.js'
import { type Damage, ofAttributes, ofBytes, ofDirectory, ofLink, ofPlace } from './corruption-kinds.js'
import { namesIn, objectName, refOf } from './corruption-store.js'

/** What was done to the store. */
export interface Corruption {
  /** `object: bits flipped`. */
  readonly kind: string
  /** Below the store's home: what was touched. */
  readonly paths: readonly string[]
  readonly hasOldTime: boolean
}

interface Victims {
  readonly what: string
  readonly share: number
  readonly paths: readonly string[]
}

const FILE = [ofBytes, ofBytes, ofPlace, ofAttributes]

/** Damages a store in random places, each at most once. */
export class Corrupter {
  readonly #taken = new Set<string>()
  readonly #times: string[] = []
  readonly #victims: readonly Victims[]

  constructor(
    private readonly home: string,
    private readonly picture: Picture,
    private readonly random: Random,
    isRoot: boolean,
  ) {
    this.#victims = victimsOf(home, picture)
    this.isRoot = isRoot
  }

  private readonly isRoot: boolean

  /** As many as are asked for, and then times are put back. */
  corrupt(count: number): readonly Corruption[] {
    const corruptions: Corruption[] = []
    for (let tries = 0; corruptions.length < count && tries < count * 10; tries++) {
      const done = this.#one()
      if (done !== null) corruptions.push(done)
    }
    // Node's own call knows no nanoseconds.
    if (this.#times.length > 0) execFileSync('/bin/sh', ['-c', this.#times.join('\n')])
    return corruptions
  }

  /** null where chance has led to nothing that can be damaged. */
  #one(): Corruption | null {
    const { what, paths } = this.#pickVictims()
    if (paths.length === 0) return null
    const [path, other] = [this.random.pick(paths), this.random.pick(paths)]
    const damages = this.#damagesFor(what, path)
    const [kind, damage] = this.random.pick(Object.entries(damages))
    const isSwap = kind === 'swapped with another'
    const touched = isSwap ? [path, other] : [path]
    if (path === other || [path, other].some(each => this.#isTaken(each))) return null
    if (isSwap && (this.picture.get(path)?.kind !== 'file' || this.picture.get(other)?.kind !== 'file')) return null
    const source = join(this.home, this.picture.get(other)?.kind === 'file' ? other : 'version')
    const before = lstatSync(join(this.home, path), { bigint: true })
    damage(this.random, join(this.home, path), source)
    for (const each of touched) this.#taken.add(each)
    return { kind: `${what}: ${kind}`, paths: touched, hasOldTime: this.random.once(2) && this.#putBack(path, before) }
  }

  #pickVictims(): Victims {
    const all = this.#victims.reduce((sum, { share }) => sum + share, 0)
    let at = this.random.below(all)
    return this.#victims.find(({ share }) => {
      at -= share
      return at < 0
    }) as Victims
  }

  #damagesFor(what: string, path: string): Readonly<Record<string, Damage>> {
    const { kind } = this.picture.get(path) ?? { kind: 'file' }
    if (kind === 'directory') return ofDirectory
    if (kind !== 'file') return ofLink
    // What is remembered is no part of the picture: any damage will do that leaves a file.
    const damages = what === 'cache' ? ofBytes : this.random.pick(FILE)
    return damages === ofAttributes && !this.isRoot ? { permission: ofAttributes.permission as Damage } : damages
  }

  /** By another name of the same file, too, and what lies in a directory that is damaged. */
  #isTaken(path: string): boolean {
    return [...this.#taken].some(
      taken => isWithin(path, taken) || isWithin(taken, path) || this.#isSameFile(path, taken),
    )
  }

  #isSameFile(a: string, b: string): boolean {
    const [one, two] = [this.picture.get(a), this.picture.get(b)]
    return one?.kind === 'file' && one.inode === two?.inode
  }

  /** Whether there is something of which the time can be what it was. */
  #putBack(path: string, { mtimeNs }: { readonly mtimeNs: bigint }): boolean {
    const stat = lstatSync(join(this.home, path), { throwIfNoEntry: false })
    if (!stat?.isFile()) return false
    const nanoseconds = String(mtimeNs % 1_000_000_000n).padStart(9, '0')
    const quoted = join(this.home, path).replaceAll("'", "'\\''")
    this.#times.push(`touch -m -d @${mtimeNs / 1_000_000_000n}.${nanoseconds} '${quoted}'`)
    return true
  }
}

function victimsOf(home: string, picture: Picture): readonly Victims[] {
  const paths = [...picture.keys()]
  const inViews = paths.filter(path => /^views\/[^/]+\/[^/]+\/./.test(path))
  const linked = new Set(inViews.map(path => picture.get(path)?.inode))
  const objects = paths.filter(path => /^objects\/..\/./.test(path))
  const below = (...directories: readonly string[]) =>
    paths.filter(path => directories.some(directory => path.startsWith(`${directory}/`)))
  return [
    { what: 'object in use', share: 40, paths: objects.filter(path => linked.has(picture.get(path)?.inode)) },
    { what: 'object', share: 17, paths: objects },
    { what: 'manifest', share: 3, paths: [...new Set(manifestsOf(home))] },
    { what: 'view', share: 15, paths: inViews },
    { what: 'list', share: 2, paths: inViews.filter(path => /^views\/[^/]+\/[^/]+\/list$/.test(path)) },
    { what: 'ref', share: 8, paths: below('refs', 'spare') },
    { what: 'plan', share: 4, paths: below('plans') },
    { what: 'secret', share: 3, paths: below('secrets') },
    { what: 'cache', share: 3, paths: cacheFiles(home) },
    { what: 'directory', share: 2, paths: paths.filter(path => /^objects\/..$/.test(path)) },
  ]
}

function manifestsOf(home: string): readonly string[] {
  const generations = namesIn(join(home, 'refs')).flatMap(name => refOf(home, name))
  return generations.map(({ container }) => objectName(container, false))
}

function cacheFiles(home: string): readonly string[] {
  return namesIn(join(home, 'cache'))
    .map(name => `cache/${name}`)
    .filter(path => lstatSync(join(home, path)).isFile())
}
