import { execFile } from 'node:child_process'
import {
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { addon } from '../../lib/launch/addon.js'
import { LIBRARIES as DIRECTORY, makeSmallTree } from '../support/small-tree.js'
import { CONTAINER, Foundry, hostBuilds, SONAMES } from './builds.js'
import { History } from './history.js'
import { type Build, type Copy, fileAt, type HostState } from './model.js'

export { DIRECTORY }
/** Where the program looks first. */
export const RUNPATH = '/opt/first'
/** Where the loader looks by way of the cache alone. */
export const LOCAL = '/usr/local/lib'
/** For better processors, which are nearly all. */
export const TWINS = `${DIRECTORY}/glibc-hwcaps/x86-64-v2`
/** The loader's own directories, in its order. */
export const DIRECTORIES: readonly string[] = addon().cpuLevel() >= 2 ? [TWINS, DIRECTORY] : [DIRECTORY]
/** Libraries whose usual name is a link, to one of two files. */
export const LINKED: readonly string[] = ['liba.so.1', 'libe.so.1']

/** No loader looks in this directory. */
export function fileBehind(soname: string, which: number): string {
  return `${DIRECTORY}/behind/${soname}.${which}`
}

/** A tree that serves as the host, and all that it ever was. */
export class MadeUpHost {
  readonly root: string
  /** The tree from which the container is packed. */
  readonly origin: string
  readonly history = new History<HostState>({ files: new Map(), links: new Map(), cache: null })
  readonly #foundry: Foundry
  readonly #inodes = new Map<number, number>()

  constructor(directory: string) {
    this.#foundry = new Foundry(join(directory, 'foundry'))
    this.origin = join(directory, 'origin')
    this.root = join(directory, 'host')
    for (const tree of [this.origin, this.root]) makeSmallTree(tree)
    for (const [soname, copy] of CONTAINER.copies)
      writeFileSync(join(this.origin, DIRECTORY, soname), this.#foundry.cast(copy))
    writeFileSync(join(this.origin, 'usr/bin/program'), this.#foundry.program(RUNPATH), { mode: 0o755 })
    for (const soname of SONAMES) {
      const [build] = hostBuilds(soname) as [Build]
      if (!LINKED.includes(soname)) this.put(`${DIRECTORY}/${soname}`, build)
      else for (const which of [0, 1]) this.put(fileBehind(soname, which), build)
      if (LINKED.includes(soname)) this.link(`${DIRECTORY}/${soname}`, fileBehind(soname, 0))
    }
  }

  has(path: string): boolean {
    return fileAt(this.history.now, path) !== undefined
  }

  inodeOf({ generation }: Copy): number | undefined {
    return this.#inodes.get(generation)
  }

  /** A new file, renamed to where perhaps another is, as dpkg does it. */
  put(path: string, build: Build): void {
    const copy = { ...build, generation: this.#inodes.size + 1 }
    const full = join(this.root, path)
    mkdirSync(dirname(full), { recursive: true })
    writeFileSync(`${full}.dpkg-new`, this.#foundry.cast(copy))
    this.#inodes.set(copy.generation, statSync(`${full}.dpkg-new`).ino)
    this.history.change(`put ${path} (${copy.generation}: ${copy.defines})`, before => {
      renameSync(`${full}.dpkg-new`, full)
      return { ...before, files: new Map(before.files).set(path, copy) }
    })
  }

  remove(path: string): void {
    this.history.change(`rm ${path}`, before => {
      rmSync(join(this.root, path))
      // The search's first directory comes and goes with what is in it.
      if (dirname(path) === RUNPATH && readdirSync(join(this.root, RUNPATH)).length === 0)
        rmdirSync(join(this.root, RUNPATH))
      const [files, links] = [new Map(before.files), new Map(before.links)]
      files.delete(path)
      links.delete(path)
      return { ...before, files, links }
    })
  }

  /** A new link, renamed over the one that is there. */
  link(path: string, target: string): void {
    const full = join(this.root, path)
    symlinkSync(relative(dirname(path), target), `${full}.dpkg-new`)
    this.history.change(`ln -s ${target} ${path}`, before => {
      renameSync(`${full}.dpkg-new`, full)
      return { ...before, links: new Map(before.links).set(path, target) }
    })
  }

  touch(path: string): void {
    this.history.change(`touch ${path}`, before => {
      const now = new Date()
      utimesSync(join(this.root, path), now, now)
      return before
    })
  }

  /** What is no library of the container's comes, changes and goes beside them. */
  putNearby(name: string, content: string | null): void {
    const path = join(this.root, DIRECTORY, name)
    this.history.change(`${content === null ? 'rm' : 'write'} ${name}`, before => {
      if (content === null) rmSync(path, { force: true })
      else writeFileSync(path, content)
      return before
    })
  }

  /** Nothing else may change meanwhile. */
  ldconfig(): Promise<void> {
    return this.history.changeSlowly('ldconfig', async before => {
      // Links stay as they are (-X).
      await promisify(execFile)('/sbin/ldconfig', ['-X', '-r', this.root])
      return { ...before, cache: cacheOf(before) }
    })
  }

  forgetCache(): void {
    this.history.change('rm ld.so.cache', before => {
      rmSync(join(this.root, 'etc/ld.so.cache'), { force: true })
      return { ...before, cache: null }
    })
  }
}

/** The directory that etc/ld.so.conf names first goes first, but what is for better processors before all. */
function cacheOf(host: HostState): ReadonlyMap<string, string> {
  const directories = DIRECTORIES.includes(TWINS) ? [TWINS, LOCAL, DIRECTORY] : [LOCAL, DIRECTORY]
  return new Map(
    SONAMES.flatMap(soname => {
      const path = directories.map(directory => `${directory}/${soname}`).find(path => fileAt(host, path) !== undefined)
      return path === undefined ? [] : [[soname, path] as const]
    }),
  )
}
