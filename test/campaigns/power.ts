import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { Random } from '../fuzz/random.js'
import { type Undisturbed, undisturbed, wrongsAgainst, wrongsOfRerun } from './crash.js'
import { Building, type Change, type Disk, readDisk, writeDisk } from './disk.js'
import { changesOf } from './disk-log.js'
import { afterLostPower, type Choice } from './lost-power.js'
import type { Operation } from './operations.js'
import type { Place } from './place.js'
import { judge, listingOf } from './store-judge.js'

/** An operation, and what it did to the disk. */
export interface Recorded {
  readonly right: Undisturbed
  readonly disk: Disk
  readonly changes: readonly Change[]
  readonly syncs: number
}

/** What is on the disk after power was lost. */
export interface Loss {
  /** Behind so many changes. */
  readonly behind: number
  readonly choice: string
  readonly disk: Disk
  /** The command had told of its success. */
  readonly acknowledged: boolean
}

/** All that is written is told. */
const WHOLE = ['-xx', '-s', String(1 << 24)]

/** Records an operation, and sees that the record is the whole of it: by it alone the same store comes to be. */
export async function record(place: Place, operation: Operation): Promise<Recorded> {
  const right = await undisturbed(place, operation, WHOLE, inHexadecimal)
  place.restore()
  const disk = readDisk(place.directory, 'store')
  const changes = changesOf(right.calls, disk, place.directory)
  const result = new Building(disk)
  for (const change of changes) result.apply(change)
  lay(result, place)
  const found = listingOf(place.home)
  const differences = [
    ...found.filter(line => !right.listing.includes(line)).map(line => `+ ${line}`),
    ...right.listing.filter(line => !found.includes(line)).map(line => `- ${line}`),
  ]
  if (differences.length > 0) throw new Error(`${operation.name}: the record is not whole:\n${differences.join('\n')}`)
  return { right, disk, changes, syncs: changes.filter(isSync).length }
}

function isSync({ kind }: Change): boolean {
  return kind === 'sync' || kind === 'sync all'
}

function inHexadecimal(path: string): string {
  return [...Buffer.from(path)].map(byte => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
}

function lay(disk: Disk, place: Place): void {
  rmSync(place.home, { recursive: true, force: true })
  writeDisk(disk, place.directory)
}

/** Whatever else is, these are tried. */
const EXTREMES: readonly Choice[] = ['nothing', 'names', 'bytes', 'all']

/** For each moment the disks that differ, with so many by chance. `ignored` is the number of a sync that the disk ignores. */
export function* losses(
  { disk, changes }: Recorded,
  byChance: number,
  seed: number,
  ignored: number | null = null,
): Iterable<Loss> {
  const known = new Set<string>()
  for (let behind = 0; behind <= changes.length; behind++) {
    const past = changes.slice(0, behind)
    const acknowledged = behind === changes.length || past.some(({ kind }) => kind === 'told')
    const chances = Array.from({ length: byChance }, (_, index) => new Random(seed + behind * byChance + index))
    for (const choice of [...EXTREMES, ...chances]) {
      const left = afterLostPower(disk, past, choice, ignored)
      const key = `${acknowledged} ${digestOf(left)}`
      if (known.has(key)) continue
      known.add(key)
      yield { behind, choice: typeof choice === 'string' ? choice : String(choice.seed), disk: left, acknowledged }
    }
  }
}

/** The same for disks that hold the same, reached from the top. */
function digestOf({ inodes, names }: Disk): string {
  const hash = createHash('sha256')
  const numbers = new Map<number, number>()
  const add = (number: number): void => {
    const before = numbers.get(number)
    hash.update(`${before ?? 'new'};`)
    if (before !== undefined) return
    numbers.set(number, numbers.size)
    const inode = inodes[number]
    hash.update(`${inode?.kind} ${inode?.mode} ${inode?.bytes.length};`).update(inode?.bytes ?? '')
    for (const [name, below] of [...(names.get(number) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))) {
      hash.update(`${name};`)
      add(below)
    }
    hash.update('end;')
  }
  add(0)
  return hash.digest('hex')
}

/** Lays what was left to a place, and holds what is there, and what a rerun makes of it, against what must be. */
export async function wrongsOfLoss(
  place: Place,
  operation: Operation,
  loss: Loss,
  recorded: Recorded,
): Promise<readonly string[]> {
  const wrongs = wrongsAtOnce(place, loss, recorded)
  return wrongs.length > 0 ? wrongs : wrongsOfRerun(place, operation, recorded.right)
}

function wrongsAtOnce(place: Place, { disk, acknowledged }: Loss, { right }: Recorded): readonly string[] {
  lay(disk, place)
  return wrongsAgainst(judge(place.home), right, acknowledged)
}

/** Whether some of these losses shows: most do at once, which is sooner seen than what a rerun makes of each. */
export async function isNoticed(
  place: Place,
  operation: Operation,
  recorded: Recorded,
  lost: Iterable<Loss>,
): Promise<boolean> {
  const all = [...lost]
  if (all.some(loss => wrongsAtOnce(place, loss, recorded).length > 0)) return true
  for (const loss of all) if ((await wrongsOfLoss(place, operation, loss, recorded)).length > 0) return true
  return false
}
