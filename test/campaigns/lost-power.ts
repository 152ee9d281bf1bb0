import type { Random } from '../fuzz/random.js'
import { Building, type Change, type Disk, resized } from './disk.js'

/*
 * What may be on a disk after power was lost. The model is weaker than what ext4 and xfs do with their journals, and than POSIX, so that
 * what holds here holds there:
 * - syncfs(2) brings everything to the disk, fsync(2) of a file its bytes, size and mode, fsync(2) of a directory its names. A file's own
 *   fsync does not bring its name, and a directory's not that of the directory.
 * - Without that, bytes come in any order with names: a file may have none of what was written, the beginning of it, zeros in its place
 *   (the size came, the blocks did not), or all. What was on the disk before stays below it.
 * - A name comes or goes alone, whatever was done before or after to others, in the same directory too; but a rename is one step with both
 *   its names, and what was done to one name comes in order.
 * - A file has its mode from the beginning; a later chmod(2) comes alone.
 * - A sync that fails is none, and one that succeeds is kept: disks that lie are not modelled.
 */

/** How much of what was not synced is there: an extreme, or by chance. */
export type Choice = 'nothing' | 'names' | 'bytes' | 'all' | Random

/** The disk after power was lost behind the first `count` of the changes; `skipped` is the sync (by its number) that the disk ignores. */
export function afterLostPower(disk: Disk, changes: readonly Change[], choice: Choice, ignored: number | null): Disk {
  const durable = durableOf(changes, ignored)
  const names = keptNames(changes, durable, choice)
  const [certain, whole, result] = [new Building(disk), new Building(disk), new Building(disk)]
  for (const [index, change] of changes.entries()) {
    if (durable[index] === true) certain.apply(change)
    else certain.bear(change)
    whole.apply(change)
    if (names.has(index)) result.apply(change)
    else result.bear(change)
  }
  for (const [number, inode] of result.inodes.entries()) {
    const [least, most] = [certain.inodes[number]?.bytes, whole.inodes[number]?.bytes]
    if (inode.kind !== 'file' || least === undefined || most === undefined) continue
    result.inodes[number] = { ...inode, bytes: least.equals(most) ? least : keptBytes(least, most, choice) }
  }
  return result
}

/** Which changes are on the disk for certain. */
function durableOf(changes: readonly Change[], ignored: number | null): boolean[] {
  const durable: boolean[] = []
  let syncs = 0
  for (const [index, change] of changes.entries()) {
    durable[index] = false
    if (change.kind !== 'sync' && change.kind !== 'sync all') continue
    if (syncs++ === ignored) continue
    for (let before = 0; before < index; before++) {
      const other = changes[before]
      if (other !== undefined && (change.kind === 'sync all' || isOf(other, change.inode))) durable[before] = true
    }
    if (change.kind === 'sync') comeInOrder(changes, durable)
  }
  return durable
}

function isOf(change: Change, inode: number): boolean {
  if (change.kind === 'names') return change.names.some(({ directory }) => directory === inode)
  return 'inode' in change && change.inode === inode
}

/** What is kept of a name is kept with all that was done to it before. */
function comeInOrder(changes: readonly Change[], kept: boolean[]): void {
  const later = new Set<string>()
  for (let index = changes.length - 1; index >= 0; index--) {
    const change = changes[index]
    if (change?.kind !== 'names') continue
    const keys = keysOf(change)
    if (kept[index] !== true && keys.some(key => later.has(key))) kept[index] = true
    if (kept[index] === true) for (const key of keys) later.add(key)
  }
}

function keysOf(change: Change & { readonly kind: 'names' }): readonly string[] {
  return change.names.map(({ directory, name }) => `${directory}/${name}`)
}

/** The changes of names and modes that are there. */
function keptNames(changes: readonly Change[], durable: readonly boolean[], choice: Choice): ReadonlySet<number> {
  const kept = new Set<number>()
  const lost = new Set<string>()
  // One in so many is lost.
  const rarity = typeof choice === 'string' ? 0 : choice.pick([2, 2, 5, 20])
  const keeps = () => (typeof choice === 'string' ? choice === 'names' || choice === 'all' : !choice.once(rarity))
  for (const [index, change] of changes.entries()) {
    if (change.kind === 'mode' && (durable[index] === true || keeps())) kept.add(index)
    if (change.kind !== 'names') continue
    const keys = keysOf(change)
    if (durable[index] === true || (!keys.some(key => lost.has(key)) && keeps())) kept.add(index)
    else for (const key of keys) lost.add(key)
  }
  return kept
}

function keptBytes(least: Buffer, most: Buffer, choice: Choice): Buffer {
  if (typeof choice === 'string') return choice === 'bytes' || choice === 'all' ? most : least
  const end = choice.below(most.length + 1)
  switch (choice.below(5)) {
    case 0:
      return least
    case 1:
      return most
    case 2:
      return resized(least, most.length)
    case 3:
      return mixed(least, most, end, end)
    default:
      return mixed(least, most, end, most.length)
  }
}

/** The first bytes of what was written, and then what was there before, or zeros; never less than was there. */
function mixed(least: Buffer, most: Buffer, end: number, size: number): Buffer {
  const result = resized(least, Math.max(size, Math.min(least.length, most.length)))
  most.copy(result, 0, 0, Math.min(end, most.length))
  return result
}
