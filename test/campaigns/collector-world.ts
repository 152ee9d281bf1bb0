import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { changeContainer, commitGeneration, openBytes } from '../../lib/container/change.js'
import { isExecutable } from '../../lib/container/containers.js'
import { encodeManifest } from '../../lib/container/manifest.js'
import { NO_SETTINGS } from '../../lib/container/settings.js'
import type { Manifest, PackedRegular } from '../../lib/container/types.js'
import { addon } from '../../lib/launch/addon.js'
import type { circumstances } from '../../lib/launch/machine.js'
import { publish, readGenerations } from '../../lib/store/generations.js'
import { createStore, type Store } from '../../lib/store/store.js'
import { Writer } from '../../lib/store/writer.js'
import type { Random } from '../fuzz/random.js'
import type { Disk } from './collector-crash.js'

/** Something that must never be. */
export class Finding extends Error {}

export function expect(isTrue: boolean, otherwise: () => string): asserts isTrue {
  if (!isTrue) throw new Finding(otherwise())
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Where an object is to be, by the format's own words (docs/formats.md): not by the code that is tested. */
export function objectAt(home: string, digest: string, executable: boolean): string {
  return join(home, 'objects', digest.slice(0, 2), `${digest.slice(2)}${executable ? '.x' : ''}`)
}

/** Texts in capitals are executable. */
export const modeOf = (text: string): number => (text === text.toUpperCase() ? 0o755 : 0o644)

export function asFile(text: string, path = `/opt/made/${text}`): PackedRegular {
  return { type: 'file', path, package: null, mode: modeOf(text), size: text.length, sha256: sha256(text) }
}

/** A generation as its line of the ref has it. */
export interface Line {
  readonly number: number
  readonly container: string
  readonly settings: {
    readonly files: readonly ({ readonly path: string; readonly mode: number } & (
      | { readonly sha256: string }
      | { readonly secret: string }
    ))[]
  }
}

/** A machine: a store of the user's, one of the system's, and what there is of the host. */
export class World {
  readonly base: string
  readonly own: Store
  readonly system: Store
  /** What plans rest on besides. */
  readonly hostFile: string
  readonly tree: string
  readonly program: string
  readonly now: ReturnType<typeof circumstances>
  readonly random: Random
  /** The texts of each container that was ever packed, by its digest; and manifests. */
  readonly texts = new Map<string, readonly string[]>()
  readonly manifests = new Map<string, string>()
  /** All texts that ever were in a setting, by what they are called. */
  readonly settings = new Map<string, string>()
  host = 0
  clock = 1_000_000

  constructor(random: Random, disk: Disk, now: ReturnType<typeof circumstances>) {
    this.random = random
    this.now = now
    this.base = realpathSync(mkdtempSync(join(temporary(), 'appc-collector-')))
    const system = disk.through(addon())
    this.own = { home: join(this.base, 'own'), system }
    this.system = { home: join(this.base, 'system'), system }
    for (const store of [this.own, this.system]) createStore(store, 0)
    this.hostFile = join(this.base, 'host')
    this.tree = join(this.base, 'tree')
    this.program = join(this.base, 'program')
    writeFileSync(this.hostFile, '')
    writeFileSync(this.program, '')
    mkdirSync(this.tree)
    for (const index of [0, 1]) mkdirSync(this.target(index))
  }

  /** What layers are laid over. */
  target(index: number): string {
    return join(this.base, `target${index}`)
  }

  remove(): void {
    rmSync(this.base, { recursive: true, force: true })
  }

  /** Packs a container, or a new generation of it. */
  pack(store: Store, name: string, own: readonly string[]): void {
    const texts = ['ENTRY', ...own]
    Writer.use(store, writer => {
      const manifest = manifestOf(name, texts)
      const bytes = encodeManifest(manifest)
      for (const text of texts) writer.add(openBytes(Buffer.from(text)), isExecutable(modeOf(text)))
      const { sha256: digest } = writer.add(openBytes(bytes), false)
      this.texts.set(digest, texts)
      this.manifests.set(digest, bytes.toString())
      if (readGenerations(store, name) !== null) {
        writer.commit()
        changeContainer(store, writer, name, ({ container, settings }) =>
          container === digest ? null : { by: 'update', container: digest, settings },
        )
      } else {
        publish(
          store,
          name,
          commitGeneration(writer, name, 1, { by: 'pack', container: digest, settings: NO_SETTINGS }),
        )
      }
    })
  }

  /** The generations of a container as they are on the disk; null where there is none. */
  lines({ home }: Store, name: string): readonly Line[] | null {
    try {
      const lines = readFileSync(join(home, 'refs', name), 'utf8').split('\n')
      // The first line names the format, the last has the checksum.
      return lines.slice(1, -2).map(line => JSON.parse(line))
    } catch {
      return null
    }
  }
}

/** In memory, where there is a place for that: ten thousand histories make tens of millions of files. */
function temporary(): string {
  try {
    rmSync(mkdtempSync('/dev/shm/appc-'), { recursive: true })
    return '/dev/shm'
  } catch {
    return tmpdir()
  }
}

function manifestOf(name: string, texts: readonly string[]): Manifest {
  return {
    schema: 'appc.manifest/1',
    name,
    source: { os: null, machine: 62, loader: null },
    entries: [{ name: 'x', path: '/opt/made/ENTRY' }],
    packages: [],
    files: [...texts].sort().map(text => asFile(text)),
  }
}
