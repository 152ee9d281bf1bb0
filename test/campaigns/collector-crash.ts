import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import type { StoreSystem } from '../../lib/store/store.js'
import { joinBytes } from '../../lib/store/walk.js'
import type { Random } from '../fuzz/random.js'

/** The process is no more: whatever it had done by then is done, and nothing after it. */
export class Crash extends Error {}

/** Calls by which a store is changed. What Node makes of one by itself (rm -r) is counted as one, and may be half done. */
const CALLS = [
  'renameSync',
  'linkSync',
  'unlinkSync',
  'rmdirSync',
  'mkdirSync',
  'mkdtempSync',
  'symlinkSync',
  'writeSync',
  'writeFileSync',
  'chmodSync',
  'fchmodSync',
  'chownSync',
  'fchownSync',
  'fsyncSync',
  'copyFileSync',
] as const

type Call = (...args: unknown[]) => unknown

/**
 * Stands between appc and the file system: `crashing` ends what it runs at the nth call that changes something, and `between` is called
 * before each, for what others do meanwhile. Descriptors are closed after a crash, as the kernel does it, so that no lock is held.
 */
export class Disk {
  #left: number | null = null
  #dead = false
  #between: (() => void) | null = null
  readonly #random: Random

  private constructor(random: Random) {
    this.#random = random
  }

  /** Node's functions are exchanged for the time of `use`. */
  static async with<T>(random: Random, use: (disk: Disk) => Promise<T>): Promise<T> {
    const disk = new Disk(random)
    const real = new Map<string, unknown>()
    const module = fs as unknown as Record<string, unknown>
    for (const name of [...CALLS, 'rmSync']) real.set(name, module[name])
    for (const name of CALLS) {
      const call = real.get(name) as Call
      module[name] = (...args: unknown[]) => {
        disk.#step()
        return call(...args)
      }
    }
    module.rmSync = (path: string | Buffer, options?: fs.RmOptions) =>
      disk.#remove(real.get('rmSync') as Call, path, options)
    syncBuiltinESMExports()
    try {
      return await use(disk)
    } finally {
      for (const [name, call] of real) module[name] = call
      syncBuiltinESMExports()
    }
  }

  /** The addon's calls, counted as well. */
  through(system: StoreSystem): StoreSystem {
    return {
      ...system,
      linkOpen: (fd, path) => {
        this.#step()
        system.linkOpen(fd, path)
      },
      syncfs: fd => {
        this.#step()
        system.syncfs(fd)
      },
    }
  }

  /** Whether `run` was ended; null: it is not to be. */
  crashing(after: number | null, run: () => void): boolean {
    this.#left = after
    try {
      run()
      return false
    } catch (error) {
      if (!(error instanceof Crash)) throw error
      return true
    } finally {
      this.#left = null
      this.#dead = false
    }
  }

  meanwhile<T>(between: () => void, run: () => T): T {
    this.#between = between
    try {
      return run()
    } finally {
      this.#between = null
    }
  }

  #step(): void {
    if (this.#isLast()) throw new Crash('on purpose')
    const between = this.#between
    if (between === null) return
    // What others do is not interrupted itself.
    this.#between = null
    try {
      between()
    } finally {
      this.#between = between
    }
  }

  #isLast(): boolean {
    if (this.#left !== null && this.#left-- === 0) this.#dead = true
    return this.#dead
  }

  #remove(remove: Call, path: string | Buffer, options?: fs.RmOptions): void {
    const wasDead = this.#dead
    if (!this.#isLast()) return void remove(path, options)
    if (!wasDead && options?.recursive) this.#removeSome(remove, Buffer.from(path))
    throw new Crash('on purpose')
  }

  #removeSome(remove: Call, path: Buffer): void {
    const stat = fs.lstatSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return
    if (!stat.isDirectory()) {
      if (this.#random.once(2)) remove(path)
      return
    }
    for (const name of fs.readdirSync(path, { encoding: 'buffer' })) this.#removeSome(remove, joinBytes(path, name))
  }
}
