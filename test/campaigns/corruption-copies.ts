import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { hasOtherBytes, isWithin, type Picture } from './corruption-judge.js'
import { type Launchable, namesIn, objectName, refOf } from './corruption-store.js'

interface Listed {
  readonly type: string
  readonly path: string
  readonly mode: number
  readonly sha256: string
}

interface Needs {
  readonly name: string
  readonly manifest: string
}

/** What a sound store says of its files, and where else their bytes are. */
export class Knowledge {
  /** By the object's path: what needs it. */
  readonly needs = new Map<string, Needs[]>()
  /** By a secret's path: whose refs tell of it. */
  readonly tellers = new Map<string, Set<string>>()
  /** Digests that the host has at the paths of files that have them. */
  readonly #onHost = new Set<string>()
  readonly #ofContainer = new Map<string, Set<string>>()

  constructor(
    readonly picture: Picture,
    readonly home: string,
    readonly samples: readonly Launchable[],
  ) {
    for (const name of namesIn(join(home, 'refs'))) this.#learn(name)
  }

  #learn(name: string): void {
    const paths = new Set([`refs/${name}`, `spare/${name}`])
    for (const { container, settings } of refOf(this.home, name)) {
      const manifest = objectName(container, false)
      this.#need(manifest, { name, manifest })
      paths.add(manifest)
      const { files } = JSON.parse(readFileSync(join(this.home, manifest), 'utf8')) as { files: readonly Listed[] }
      for (const { path, mode, sha256 } of files.filter(({ type }) => type === 'file')) {
        const object = objectName(sha256, (mode & 0o111) !== 0)
        this.#need(object, { name, manifest })
        if (hostDigest(path) === sha256) this.#onHost.add(sha256)
      }
      for (const { path, mode, sha256, secret } of settings.files) {
        if (sha256 !== undefined)
          this.#need(objectName(sha256, (mode & 0o111) !== 0), { name, manifest: `refs/${name}` })
        if (sha256 !== undefined && hostDigest(path) === sha256) this.#onHost.add(sha256)
        if (secret !== undefined)
          for (const path of [`secrets/${secret}`, `secrets/${secret}.json`]) {
            paths.add(path)
            this.tellers.set(path, (this.tellers.get(path) ?? new Set()).add(name))
          }
      }
    }
    this.#ofContainer.set(name, paths)
  }

  #need(object: string, needs: Needs): void {
    this.needs.set(object, [...(this.needs.get(object) ?? []), needs])
  }

  /** Whether what a container rests on when it is launched is among these paths. */
  concerns({ name, view }: Launchable, paths: ReadonlySet<string>): boolean {
    const own = this.#ofContainer.get(name) as ReadonlySet<string>
    if ([...own, `plans/${name}`].some(path => paths.has(path))) return true
    const inodes = new Set([...paths].map(path => this.picture.get(path)?.inode))
    return [...this.picture].some(
      ([path, { kind, inode }]) =>
        path.startsWith(`${view}/`) && (paths.has(path) || (kind === 'file' && inodes.has(inode))),
    )
  }

  /**
   * Which of what is damaged has a right copy nowhere that a repair is to look: in the store, on the host at its paths, in the trees.
   */
  lost(damaged: ReadonlySet<string>, now: Picture, elsewhere: ReadonlySet<string>): ReadonlySet<string> {
    const there = contentsOf(this.home, now)
    const hasCopy = (content: string) => there.has(content) || elsewhere.has(content) || this.#onHost.has(content)
    const lost = new Set<string>()
    const soundRef = (name: string) => ['refs', 'spare'].some(where => !damaged.has(`${where}/${name}`))
    for (const path of damaged) {
      const was = this.picture.get(path)
      if (was === undefined) continue
      if (/^(refs|spare)\/./.test(path) && !soundRef(basename(path))) lost.add(path)
      if (path.startsWith('secrets/') && !this.#isSecretFound(path, there)) lost.add(path)
      if (path.startsWith('objects/') && hasOtherBytes(was, now.get(path)) && !hasCopy(was.content)) lost.add(path)
    }
    return this.#withWhatRestsOn(lost, damaged)
  }

  #isSecretFound(path: string, there: ReadonlySet<string>): boolean {
    const was = this.picture.get(path)
    if (was === undefined || was.kind === 'directory') return true
    // What it is to be is known where that lies in another's place.
    const facts = this.picture.get(`${path.replace(/\.json$/, '')}.json`)
    return facts?.kind === 'file' && there.has(facts.content) && there.has(was.content)
  }

  /** What a lost document told of; what is the same file as a lost one. */
  #withWhatRestsOn(lost: Set<string>, damaged: ReadonlySet<string>): ReadonlySet<string> {
    const isLost = ({ name, manifest }: Needs) => lost.has(manifest) || lost.has(`refs/${name}`)
    for (const path of damaged) {
      const needs = this.needs.get(path)
      if (needs?.every(isLost)) lost.add(path)
    }
    const inodes = new Set([...lost].map(path => this.picture.get(path)?.inode))
    const files = [...damaged].filter(path => this.picture.get(path)?.kind === 'file')
    for (const path of files) if (inodes.has(this.picture.get(path)?.inode)) lost.add(path)
    const places = [...lost]
    for (const path of damaged) if (places.some(place => isWithin(path, place))) lost.add(path)
    return lost
  }
}

/** Of all regular files of a store, wherever they lie. */
function contentsOf(home: string, now: Picture): ReadonlySet<string> {
  const inPicture = [...now.values()].filter(({ kind }) => kind === 'file').map(({ content }) => content)
  return new Set([...inPicture, ...digestsBelow(join(home, 'quarantine'))])
}

export function digestsBelow(directory: string): ReadonlySet<string> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
  return new Set(entries.filter(entry => entry.isFile()).map(entry => digestOf(join(entry.parentPath, entry.name))))
}

function hostDigest(path: string): string | null {
  try {
    const real = realpathSync(path)
    return lstatSync(real).isFile() ? digestOf(real) : null
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return null
    throw error
  }
}

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}
