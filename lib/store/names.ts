import { lstatSync, readdirSync, type Stats } from 'node:fs'
import { join } from 'node:path'

/**
 * The names of files in what is to go: bytes are free when the last name of their inode is gone, wherever it was. All of a store lies in
 * one file system, since links are made within it.
 */
export class Names {
  readonly #counts = new Map<number, { readonly stat: Stats; count: number }>()

  addTree(directory: string): void {
    for (const { stat } of filesBelow(directory)) this.add(stat)
  }

  add(stat: Stats): void {
    const known = this.#counts.get(stat.ino)
    if (known === undefined) this.#counts.set(stat.ino, { stat, count: 1 })
    else known.count++
  }

  of(inode: number): number {
    return this.#counts.get(inode)?.count ?? 0
  }

  /** Bytes of the files that have no name elsewhere, where those in `others` do not count. */
  bytes(others: Names | null = null): number {
    const files = [...this.#counts].filter(([ino, { stat, count }]) => stat.nlink === count + (others?.of(ino) ?? 0))
    return files.reduce((sum, [, { stat }]) => sum + stat.size, 0)
  }
}

export interface FileBelow {
  readonly path: string
  readonly stat: Stats
}

/**
 * Regular files below a directory. Links are not followed (as readdir's own recursion does): a container may hold one to /. What has a name
 * that is no UTF-8 is passed over: the store has made none, and a repair takes it away.
 */
export function* filesBelow(directory: string): Generator<FileBelow> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    const stat = entry.isDirectory() || entry.isFile() ? lstatSync(path, { throwIfNoEntry: false }) : undefined
    if (stat?.isDirectory()) yield* filesBelow(path)
    else if (stat?.isFile()) yield { path, stat }
  }
}
