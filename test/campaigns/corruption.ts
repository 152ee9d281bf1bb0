import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Random } from '../fuzz/random.js'
import type { User } from '../native/fixture.js'
import { type Ran, Site } from '../support/site.js'
import { damagedPaths, judgeLaunch, launch, linesOf, type Problem, unnamed, viewIsThere } from './corruption-checks.js'
import { digestsBelow, Knowledge } from './corruption-copies.js'
import { hasOtherBytes, Looker, type Picture } from './corruption-judge.js'
import { type Launchable, makeStore, type StoreSize, trees } from './corruption-store.js'
import { Corrupter, type Corruption } from './corruption-victims.js'

export interface Tally {
  rounds: number
  corruptions: number
  withOldTime: number
  /** That left nothing to be found: what is derived was removed, or only what is remembered was damaged. */
  harmless: number
  detected: number
  repaired: number
  /** Of which there was no right copy. */
  lost: number
  launchesRight: number
  launchesRefused: number
  launchesAfter: number
  damagedBytes: number
  bytesRead: number
}

export interface Outcome {
  readonly tally: Tally
  readonly kinds: ReadonlyMap<string, number>
  readonly findings: readonly string[]
}

/** At once, in most rounds. */
const MANY = 120
/** Findings after which it ends. */
const ENOUGH = 10

/** Damages a store `count` times, as `user`; each round has a seed of its own, `seed` and those after it. */
export async function runCorruptions(user: User, count: number, seed: number, size: StoreSize): Promise<Outcome> {
  const site = new Site(user)
  try {
    const campaign = await Campaign.begin(site, await makeStore(site, size), user)
    for (let round = 0; campaign.tally.corruptions < count && campaign.findings.length < ENOUGH; round++) {
      // One alone now and then, which nothing else can hide.
      const atOnce = round % 8 === 0 ? 1 : MANY
      await campaign.round(seed + round, Math.min(count - campaign.tally.corruptions, atOnce))
    }
    return campaign
  } finally {
    site.remove()
  }
}

class Campaign implements Outcome {
  readonly tally: Tally = {
    rounds: 0,
    corruptions: 0,
    withOldTime: 0,
    harmless: 0,
    detected: 0,
    repaired: 0,
    lost: 0,
    launchesRight: 0,
    launchesRefused: 0,
    launchesAfter: 0,
    damagedBytes: 0,
    bytesRead: 0,
  }
  readonly kinds = new Map<string, number>()
  readonly findings: string[] = []
  readonly #looker: Looker
  readonly #inTrees: ReadonlySet<string>

  private constructor(
    private readonly site: Site,
    private readonly samples: readonly Launchable[],
    private readonly user: User,
    private readonly pristine: string,
    private readonly picture: Picture,
    private readonly knowledge: Knowledge,
    looker: Looker,
  ) {
    this.#looker = looker
    this.#inTrees = new Set(trees().flatMap(tree => [...digestsBelow(tree)]))
  }

  static async begin(site: Site, samples: readonly Launchable[], user: User): Promise<Campaign> {
    const pristine = join(site.directory, 'pristine')
    execFileSync('cp', ['--archive', site.store, pristine])
    const looker = new Looker()
    const picture = looker.picture(site.store)
    return new Campaign(site, samples, user, pristine, picture, new Knowledge(picture, site.store, samples), looker)
  }

  async round(seed: number, count: number): Promise<void> {
    const random = new Random(seed)
    const found = this.findings.length
    const before = new Map([...this.picture, ...this.#looker.picture(this.site.store, 'plans')])
    const corruptions = this.#corrupt(before, random, count)
    const find = (text: string) => {
      if (this.findings.length === found) {
        const done = corruptions.map(
          ({ kind, paths, hasOldTime }) => `  ${kind}${hasOldTime ? ' (old time)' : ''}: ${paths.join(' ')}`,
        )
        this.findings.push(`round ${seed}, ${count}:\n${done.join('\n')}`)
      }
      this.findings.push(`${seed}: ${text}`)
    }
    this.tally.rounds++
    this.tally.corruptions += corruptions.length
    this.tally.withOldTime += corruptions.filter(({ hasOldTime }) => hasOldTime).length
    for (const { kind } of corruptions) this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1)
    await this.#verify(before, corruptions, find)
    await this.#launchDamaged(before, random, find)
    await this.#repair(before, corruptions, random, find)
    await this.#launchMended(before, random, find)
    await this.#compare(before, random, find)
    if (this.findings.length > found) this.#reset()
  }

  #corrupt(before: Picture, random: Random, count: number): readonly Corruption[] {
    const { uid, gid } = this.user
    const corrupter = new Corrupter(this.site.store, before, random, uid === 0)
    process.setegid?.(gid)
    process.seteuid?.(uid)
    try {
      return corrupter.corrupt(count)
    } finally {
      process.seteuid?.(0)
      process.setegid?.(0)
    }
  }

  async #verify(before: Picture, corruptions: readonly Corruption[], find: (text: string) => void): Promise<void> {
    const now = this.#look()
    const damaged = damagedPaths(before, now, true)
    const ran = await this.site.appc('verify', '--full', '--json')
    const problems = linesOf<Problem>(ran.stdout, 'appc.problem/1')
    if (ran.status !== (damaged.size > 0 ? 1 : 0)) find(`verify --full: ${told(ran)} with ${damaged.size} damaged`)
    const missed = new Set(unnamed(this.site.store, this.knowledge, damaged, now, problems))
    for (const path of missed) find(`verify --full does not name ${path}`)
    for (const { paths } of corruptions) {
      const real = paths.filter(path => damaged.has(path))
      if (real.length === 0) this.tally.harmless++
      else if (!real.some(path => missed.has(path))) this.tally.detected++
    }
  }

  async #launchDamaged(before: Picture, random: Random, find: (text: string) => void): Promise<void> {
    const damaged = damagedPaths(before, this.#look(), true)
    const concerned = this.samples.filter(sample => this.knowledge.concerns(sample, damaged))
    for (let count = 0; count < 2 && concerned.length > 0; count++) {
      const [sample] = concerned.splice(random.below(concerned.length), 1) as [Launchable]
      const verdict = judgeLaunch(this.site, before, this.#looker, sample, await launch(this.site, sample))
      if (verdict.kind === 'wrong') find(verdict.text)
      else if (verdict.kind === 'right') this.tally.launchesRight++
      else this.tally.launchesRefused++
    }
  }

  async #repair(
    before: Picture,
    corruptions: readonly Corruption[],
    random: Random,
    find: (text: string) => void,
  ): Promise<void> {
    const now = this.#look()
    const damaged = damagedPaths(before, now, false)
    const usesTrees = !random.once(3)
    const lost = this.knowledge.lost(damaged, now, usesTrees ? this.#inTrees : new Set())
    const from = usesTrees ? trees().flatMap(tree => ['--from', tree]) : []
    const full = random.once(2) ? ['--full'] : []
    const ran = await this.site.appc('repair', '--json', ...full, ...from)
    const [summary] = linesOf<{ left: number; bytesRead: number }>(ran.stdout, 'appc.repair/1')
    if (summary === undefined || ran.status !== (summary.left > 0 ? 1 : 0)) return find(`repair: ${told(ran)}`)
    const after = this.#look()
    const left = damagedPaths(before, after, false)
    for (const path of left) if (!lost.has(path)) find(`not repaired: ${path} (${usesTrees ? 'from trees' : 'alone'})`)
    const problems = linesOf<Problem>(ran.stdout, 'appc.problem/1')
    for (const path of unnamed(this.site.store, this.knowledge, left, after, problems))
      find(`left without a word: ${path}`)
    this.tally.bytesRead += summary.bytesRead
    for (const path of damaged) {
      const was = before.get(path)
      if (path.startsWith('objects/') && was !== undefined && hasOtherBytes(was, now.get(path)))
        this.tally.damagedBytes += was.size
    }
    for (const { paths } of corruptions) {
      if (paths.some(path => left.has(path))) this.tally.lost++
      else if (paths.some(path => before.has(path))) this.tally.repaired++
    }
    if (lost.size > 0) await this.#bringBack(before, lost, find)
  }

  /** What had no copy is copied from the sound store; the rest follows. */
  async #bringBack(before: Picture, lost: ReadonlySet<string>, find: (text: string) => void): Promise<void> {
    for (const path of lost) {
      const was = before.get(path)
      if (was?.kind !== 'file' || path.startsWith('views/')) continue
      const place = join(this.site.store, path)
      mkdirSync(dirname(place), { recursive: true })
      rmSync(place, { recursive: true, force: true })
      copyFileSync(join(this.pristine, path), place)
      chownSync(place, was.uid, was.gid)
      chmodSync(place, was.mode)
    }
    const from = trees().flatMap(tree => ['--from', tree])
    const ran = await this.site.appc('repair', '--json', ...from)
    if (ran.status !== 0) find(`second repair: ${told(ran)}`)
  }

  /** Those of which the view is gone, and some others. */
  async #launchMended(before: Picture, random: Random, find: (text: string) => void): Promise<void> {
    const now = this.#look()
    const chosen = new Set([
      ...this.samples.filter(sample => !viewIsThere(now, sample) || !now.has(`plans/${sample.name}`)),
      random.pick(this.samples),
    ])
    for (const sample of chosen) {
      const verdict = judgeLaunch(this.site, before, this.#looker, sample, await launch(this.site, sample))
      this.tally.launchesAfter++
      if (verdict.kind !== 'right')
        find(`after the repair: ${verdict.kind === 'wrong' ? verdict.text : `${sample.name} is refused`}`)
    }
  }

  async #compare(before: Picture, random: Random, find: (text: string) => void): Promise<void> {
    const now = this.#look()
    const different = damagedPaths(before, now, false)
    for (const path of different)
      find(`in the end: ${path} ${JSON.stringify([before.get(path), now.get(path)], replacer)}`)
    for (const path of before.keys()) if (!now.has(path) && !different.has(path)) find(`in the end ${path} is missing`)
    const left = readdirSync(join(this.site.store, 'tmp'))
    if (left.length > 0) find(`in tmp/: ${left.join(' ')}`)
    const ran = await this.site.appc('verify', ...(random.once(5) ? ['--full'] : []))
    if (ran.status !== 0) find(`in the end: ${told(ran)}`)
    if (random.once(4)) return
    const quarantine = join(this.site.store, 'quarantine')
    for (const name of readdirSync(quarantine)) rmSync(join(quarantine, name), { recursive: true })
  }

  #look(): Picture {
    return this.#looker.picture(this.site.store)
  }

  #reset(): void {
    rmSync(this.site.store, { recursive: true })
    execFileSync('cp', ['--archive', this.pristine, this.site.store])
  }
}

function told({ status, stdout, stderr }: Ran): string {
  return `exit ${status}: ${stdout.slice(-1500)} ${stderr.slice(-1500)}`
}

function replacer(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value
}
