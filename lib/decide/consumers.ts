import type { ElfFacts } from '../elf/types.js'
import { consumerPaths, mayBeConsumer } from '../host/consumers.js'
import type { PackageDatabase } from '../host/dpkg.js'
import type { Package } from '../host/packages.js'
import { base, parent } from '../loader/file-system.js'
import type { Gone } from './gone.js'
import type { Places } from './placement.js'
import type { World } from './world.js'

/** A program, plugin or library of the host's. */
export interface Consumer {
  readonly path: string
  readonly facts: ElfFacts
}

/** The host's programs, plugins and libraries, by what they need: looked for when somebody asks, which for most containers nobody does. */
export class Consumers {
  private found: readonly Consumer[] | null = null
  private readonly byName = new Map<string, Consumer>()
  private readonly needed = new Set<string>()
  private readonly reach = new Map<string, ReadonlySet<string>>()

  constructor(private readonly world: World) {}

  /** Every program, plugin and library of the host's that its loader could load. */
  all(): readonly Consumer[] {
    if (this.found !== null) return this.found
    const { host, finder } = this.world
    // A directory's own order is anybody's, and what is told must not depend on it.
    const paths = [...consumerPaths(host.fs)].sort()
    host.lookAhead?.(paths)
    this.found = this.consumersAt(paths)
    const searched = new Set(finder.directories)
    for (const consumer of this.found) {
      const { path, facts } = consumer
      for (const needed of facts.needed) this.needed.add(base(needed))
      const name = facts.soname ?? base(path)
      if (searched.has(parent(path)) && !this.byName.has(name)) this.byName.set(name, consumer)
    }
    return this.found
  }

  private consumersAt(paths: readonly string[]): readonly Consumer[] {
    const { host, looked, contents } = this.world
    const { loader } = contents.manifest.source
    return paths.flatMap(path => {
      const stat = host.fs.lstat(path)
      const facts = stat?.kind === 'file' ? looked.facts.inspect(host.fs, path, stat).facts : null
      const loads = facts?.dynamic && facts.machine === loader?.machine && facts.class === loader.class
      return loads ? [{ path, facts }] : []
    })
  }

  /**
   * Who may ask for what is gone, where packages tell: files of packages that depend on the changed library's, as every package does
   * that is linked with it (Debian policy 8.6), of those of the same source, and what no package ships, below /usr/local. It spares
   * the look at all of the host when none of these asks.
   */
  likeliest(places: Places, gone: readonly Gone[]): readonly Consumer[] | null {
    const { packages, fs, lookAhead } = this.world.host
    if (packages === null) return null
    const asking = new Set<Package>()
    for (const missing of gone) {
      const likely = this.world.contents.libraries.get(missing.soname)?.package ?? null
      const paths = (places.libraries.get(missing.soname) ?? []).filter(path => fs.lstat(path) !== null)
      const owners = paths.flatMap(path => packages.ownersOfFile(path, likely))
      if (owners.length === 0) return null
      for (const pkg of dependents(packages, owners)) asking.add(pkg)
    }
    const owned = [...asking].flatMap(pkg => packages.filesOf(pkg).filter(mayBeConsumer))
    const paths = [...owned, ...consumerPaths(fs, ['/usr/local'], [])].filter(path => !places.nodes.has(path))
    lookAhead?.(paths)
    return this.consumersAt(paths)
  }

  /** Whether a consumer loads one of these names, directly or not, as far as names tell. */
  reaches({ facts }: Consumer, names: ReadonlySet<string>): boolean {
    return facts.needed.some(name => names.has(name) || [...this.reachOf(name)].some(other => names.has(other)))
  }

  private reachOf(name: string): ReadonlySet<string> {
    const known = this.reach.get(name)
    if (known !== undefined) return known
    const reached = new Set<string>()
    this.reach.set(name, reached)
    const pending = [name]
    for (let next = pending.pop(); next !== undefined; next = pending.pop())
      for (const needed of this.byName.get(next)?.facts.needed ?? [])
        if (!reached.has(needed)) {
          reached.add(needed)
          pending.push(needed)
        }
    return reached
  }

  /** What others need is judged with them; what nobody needs and lies beside the libraries is opened by name (NSS's modules). */
  isLibrary({ path, facts }: Consumer): boolean {
    const name = facts.soname ?? base(path)
    return facts.interpreter === null && this.needed.has(name) && this.byName.get(name)?.path === path
  }
}

function dependents(database: PackageDatabase, owners: readonly Package[]): readonly Package[] {
  const names = new Set(owners.flatMap(({ name, provides }) => [name, ...provides.map(({ name }) => name)]))
  const sources = new Set(owners.map(sourceOf))
  return database.packages.filter(
    pkg => sources.has(sourceOf(pkg)) || pkg.depends.some(group => group.some(({ name }) => names.has(name))),
  )
}

function sourceOf({ source, name }: Package): string {
  return source ?? name
}
