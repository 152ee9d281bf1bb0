import { isDeepStrictEqual } from 'node:util'
import { needsIn } from '../../lib/container/containers.js'
import { judgePlans } from '../../lib/launch/garbage.js'
import { circumstances } from '../../lib/launch/machine.js'
import { findUsed } from '../../lib/launch/views-in-use.js'
import { withLock } from '../../lib/store/store.js'
import { collectGarbage, type Garbage, type GarbageRequest } from '../../lib/upkeep/garbage.js'
import type { UsedViews, ViewAt } from '../../lib/upkeep/views.js'
import { Random } from '../fuzz/random.js'
import { changes, damage, NAMES, type Operation, pack } from './collector-changes.js'
import { checkNoLeak, checkReachable, checkStartable, snapshot, startable } from './collector-checks.js'
import { Disk } from './collector-crash.js'
import { type Asked, Launch, type Views } from './collector-launch.js'
import { expect, Finding, World } from './collector-world.js'

export interface Tally {
  histories: number
  operations: number
  collections: number
  crashes: number
  launches: number
  /** Launches that went a step while something else was done. */
  between: number
  /** Programs that were real processes. */
  processes: number
  /** Collections with something that could not be read. */
  refused: number
  /** Views that were not taken, or did not go for good, because of a launch or a program. */
  inUse: number
  taken: number
  finding: string | null
}

export interface CampaignOptions {
  /** The program of holder.c; one history in so many has real processes. */
  readonly holder: string
  readonly realOnceIn: number
  /** A mistake that the collector is made to make, to see that it is found. */
  readonly mistake?: (request: GarbageRequest, world: World) => GarbageRequest
}

/** Random histories, until there is a finding. Each has a seed of its own, which repeats it: `seed` and the ones after it. */
export async function runHistories(count: number, seed: number, options: CampaignOptions): Promise<Tally> {
  const tally: Tally = {
    histories: 0,
    operations: 0,
    collections: 0,
    crashes: 0,
    launches: 0,
    between: 0,
    processes: 0,
    refused: 0,
    inUse: 0,
    taken: 0,
    finding: null,
  }
  const now = circumstances()
  for (let index = 0; index < count && tally.finding === null; index++) {
    const random = new Random((seed + index) >>> 0)
    await Disk.with(random, async disk => {
      const history = new History(new World(random, disk, now), disk, options, tally)
      try {
        await history.run()
        tally.histories++
      } catch (error) {
        if (!(error instanceof Finding)) history.told.push(String((error as Error).stack))
        tally.finding = `seed ${random.seed}: ${(error as Error).message}\n  ${history.told.join('\n  ')}`
      } finally {
        await history.end()
      }
    })
  }
  return tally
}

const HOUR = 3_600_000

class History {
  /** What was done. */
  readonly told: string[] = []
  readonly #world: World
  readonly #disk: Disk
  readonly #options: CampaignOptions
  readonly #tally: Tally
  readonly #views: Views = new Map()
  readonly #isReal: boolean
  #launches: Launch[] = []

  constructor(world: World, disk: Disk, options: CampaignOptions, tally: Tally) {
    this.#world = world
    this.#disk = disk
    this.#options = options
    this.#tally = tally
    this.#isReal = world.random.once(options.realOnceIn)
  }

  async run(): Promise<void> {
    const { random } = this.#world
    for (let count = 1 + random.below(3); count > 0; count--) this.#change(pack)
    for (let count = 10 + random.below(25); count > 0; count--) {
      this.#tally.operations++
      await this.#act()
      checkReachable(this.#world, this.#views, this.#launches, this.#asked())
    }
    this.#settle()
    for (const launch of this.#launches) await launch.end()
    this.#launches = []
    this.#settle()
  }

  async end(): Promise<void> {
    for (const launch of this.#launches) await launch.end()
    this.#world.remove()
  }

  async #act(): Promise<void> {
    const { random } = this.#world
    const turn = random.below(30)
    if (turn < 8) this.#change(random.pick(changes))
    else if (turn < 13) this.#begin()
    else if (turn < 19) await this.#advance()
    else if (turn < 21) await this.#endOne()
    else if (turn < 22) this.#collectInVain()
    else this.#collect()
  }

  /** Something that changes the stores, which may be ended at any call. */
  #change(operation: Operation): void {
    // Removing is refused while a program runs with a container's files; it cannot see those that are none.
    const held = this.#launches.filter(({ state }) => state !== 'asked')
    if (operation.removes && held.length > 0) return
    const crash = this.#crashPoint()
    this.told.push(`${operation.name}${crash === null ? '' : `, ended at call ${crash}`}`)
    this.#mayCrash(crash, () => operation.run(this.#world))
    operation.settle?.(this.#world)
  }

  #crashPoint(): number | null {
    return this.#world.random.once(3) ? this.#world.random.below(40) : null
  }

  #mayCrash(after: number | null, run: () => void): void {
    if (this.#disk.crashing(after, run)) this.#tally.crashes++
  }

  #asked(): readonly Asked[] {
    const { tree, program } = this.#world
    const environment = { LD_LIBRARY_PATH: '/opt/made' }
    const containers = NAMES.flatMap(subject => [
      { kind: 'container', subject, root: null, environment: {} } as const,
      { kind: 'container', subject, root: null, environment } as const,
      { kind: 'container', subject, root: tree, environment: {} } as const,
    ])
    return [...containers, { kind: 'program', subject: program, root: null, environment: {} }]
  }

  #begin(): void {
    const possible = this.#asked().filter(
      ({ kind, subject }) =>
        kind === 'program' ||
        [this.#world.own, this.#world.system].some(store => this.#world.lines(store, subject) !== null),
    )
    const asked = this.#world.random.pick(possible)
    this.told.push(
      `launch ${asked.subject}${asked.root === null ? '' : ' in a tree'} ${Object.keys(asked.environment)}`,
    )
    this.#tally.launches++
    const launch = new Launch(this.#world, this.#views, asked)
    this.#launches.push(launch)
    // Half of them have to plan first.
    launch.step()
    this.#plan(launch)
  }

  /** A launch that has no plan makes one; it may be killed meanwhile. */
  #plan(launch: Launch): void {
    if (launch.state !== 'asked') return
    const mayFree = this.#launches.every(({ isHeld }) => !isHeld)
    const crash = this.#crashPoint()
    this.told.push(`  it plans${crash === null ? '' : `, ended at call ${crash}`}`)
    this.#mayCrash(crash, () => launch.prepare(mayFree))
    launch.step()
  }

  async #advance(): Promise<void> {
    for (const launch of this.#launches) {
      if (this.#world.random.once(3)) continue
      const before = launch.state
      if (before === 'opened' && this.#isReal) {
        await launch.mount(this.#options.holder)
        this.#tally.processes++
      } else launch.step()
      this.told.push(`a launch of ${launch.view} was ${before}, is ${launch.state}`)
    }
  }

  async #endOne(): Promise<void> {
    const [launch, ...others] = this.#launches
    if (launch === undefined) return
    this.told.push(`the program of ${launch.view} ends`)
    await launch.end()
    this.#launches = others
  }

  /** Launches go on at any moment; those that need a lock have to wait. */
  #meanwhile(): void {
    const { random } = this.#world
    for (const launch of this.#launches) {
      if (!random.once(6) || (launch.state === 'opened' && this.#isReal)) continue
      const before = launch.state
      launch.step()
      if (launch.state === before) continue
      this.#tally.between++
      this.told.push(`  meanwhile a launch of ${launch.view} was ${before}, is ${launch.state}`)
    }
  }

  #request(): GarbageRequest {
    const { random, own, system, clock } = this.#world
    const request: GarbageRequest = {
      ...judgePlans({ own, system }),
      needsOf: needsIn(own),
      findUsed: views => this.#findUsed(views),
      keep: random.once(2) ? 1 + random.below(3) : null,
      grace: random.pick([0, HOUR, 24 * HOUR]),
      evidence: 24 * HOUR,
      now: clock,
      dryRun: false,
    }
    return this.#options.mistake?.(request, this.#world) ?? request
  }

  #findUsed(views: readonly ViewAt[]): UsedViews {
    const real = this.#isReal ? findUsed(this.#world.own, views) : null
    // What others do on this machine is no part of it.
    const found = real === null || real.unseen.length > 0 ? this.#modelled(views) : real
    this.#tally.inUse += found.used.length
    return found
  }

  #modelled(views: readonly ViewAt[]): UsedViews {
    const names = new Set(this.#launches.filter(({ isHeld }) => isHeld).map(({ view }) => view))
    return { used: views.filter(({ view }) => names.has(view)), unseen: [] }
  }

  #collect(): void {
    const { random, own } = this.#world
    this.#world.clock += random.pick([0, 1, HOUR, 25 * HOUR])
    const crash = this.#crashPoint()
    this.#tally.collections++
    const before = startable(this.#world, this.#asked())
    withLock(own, 'exclusive', () => {
      const request = this.#request()
      const foretold = random.once(3) ? this.#collectDry(request) : null
      this.told.push(
        `gc, keep ${request.keep}, grace ${request.grace / HOUR} h${crash === null ? '' : `, ended at call ${crash}`}`,
      )
      const collect = () => {
        const garbage = collectGarbage(own, request)
        this.#tally.taken += garbage.objects + garbage.views.length
        if (foretold !== null)
          expect(isDeepStrictEqual(garbage, foretold), () => `foretold ${show(foretold)}, came to ${show(garbage)}`)
      }
      // What a dry run told holds where nobody comes in between.
      this.#mayCrash(crash, () =>
        foretold === null ? this.#disk.meanwhile(() => this.#meanwhile(), collect) : collect(),
      )
    })
    checkStartable(this.#world, this.#asked(), before)
  }

  #collectDry(request: GarbageRequest): Garbage {
    const before = snapshot(this.#world.own)
    const garbage = collectGarbage(this.#world.own, { ...request, dryRun: true })
    expect(snapshot(this.#world.own) === before, () => 'a dry run changed something')
    return garbage
  }

  /** Where something cannot be read nothing is collected. */
  #collectInVain(): void {
    const { own, random } = this.#world
    const damaged = damage(this.#world)
    if (damaged === null) return
    this.#tally.refused++
    this.told.push(`gc with ${damaged.what}`)
    withLock(own, 'exclusive', () => {
      const before = snapshot(own)
      const garbage = collectGarbage(own, { ...this.#request(), dryRun: random.once(4) })
      expect(garbage.unreadable.includes(damaged.name), () => `it is not told that ${damaged.name} cannot be read`)
      expect(snapshot(own) === before, () => `something was collected with ${damaged.what}`)
    })
    damaged.undo()
  }

  /** Given time, all goes that nobody needs. */
  #settle(): void {
    this.told.push('given time')
    for (let round = 0; round < 4; round++) {
      this.#world.clock += 25 * HOUR
      withLock(this.#world.own, 'exclusive', () =>
        collectGarbage(this.#world.own, { ...this.#request(), keep: null, grace: 24 * HOUR }),
      )
    }
    checkReachable(this.#world, this.#views, this.#launches, this.#asked())
    checkNoLeak(this.#world, this.#launches, this.#asked())
  }
}

function show(garbage: Garbage): string {
  return JSON.stringify(garbage)
}
