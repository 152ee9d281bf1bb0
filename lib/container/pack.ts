import { createHash } from 'node:crypto'
import { AppcError } from '../errors.js'
import { readOperatingSystem } from '../host/os.js'
import { rootFileSystem } from '../loader/root-file-system.js'
import { currentOf, publish } from '../store/generations.js'
import { checkName } from '../store/refs.js'
import type { Store } from '../store/store.js'
import { Writer } from '../store/writer.js'
import { changeContainer, commitGeneration, openBytes } from './change.js'
import { type Container, readContainer } from './containers.js'
import { describeFiles, describePackages } from './describe.js'
import { checkEntryName } from './entries.js'
import { type Gathered, gather, type Selection } from './gather.js'
import { encodeManifest } from './manifest.js'
import type { PolicyRule } from './policy.js'
import { NO_SETTINGS } from './settings.js'
import type { Manifest } from './types.js'

export interface PackRequest extends Selection {
  /** The tree to pack from: an absolute path of this machine, `/` for the machine itself. */
  readonly root: string
  readonly name: string
  /** What is fixed for this container's libraries, on every host; absent: nothing. */
  readonly policy?: readonly PolicyRule[]
  /** What the programs need of the host when they are confined. */
  readonly needs?: readonly string[]
  /** A container of that name may be there, and gets a new generation, with its settings. */
  readonly update?: boolean
}

/**
 * Packs programs of a tree with all that they need into a container of the store. The same tree gives the same digest; a name
 * that is taken by the same content is no error (and what was damaged of it is mended), by other content it is
 * CONTAINER_EXISTS, unless that is to be updated. After any error the store is as it was.
 */
export function packContainer(request: PackRequest, store: Store): Container {
  checkName(request.name)
  if (request.entries.length === 0)
    throw new AppcError('USAGE', 'nothing to pack', { because: 'a container needs at least one entry' })
  const gathered = gather(rootFileSystem(request.root), request)
  for (const entry of gathered.entries) checkEntryName(entry)
  return Writer.use(store, writer => {
    const manifest = describe(request, gathered, (source, executable) => writer.add(source, executable))
    const bytes = encodeManifest(manifest)
    const digest = createHash('sha256').update(bytes).digest('hex')
    requireFree(request, store, digest)
    writer.add(openBytes(bytes), false)
    if (currentOf(store, request.name) !== null) return replace(request, store, writer, digest)
    const first = commitGeneration(writer, request.name, 1, { by: 'pack', container: digest, settings: NO_SETTINGS })
    // Somebody else may have taken the name since it was looked at.
    if (publish(store, request.name, first)) return readContainer(store, request.name)
    requireFree(request, store, digest)
    return replace(request, store, writer, digest)
  })
}

/** Nothing new where the container has this very content: then what was damaged of it has been mended by the writer. */
function replace({ name }: PackRequest, store: Store, writer: Writer, digest: string): Container {
  writer.commit()
  changeContainer(store, writer, name, ({ container, settings }) =>
    container === digest ? null : { by: 'update', container: digest, settings },
  )
  return readContainer(store, name)
}

function describe(
  { name, policy = [], needs = [] }: PackRequest,
  gathered: Gathered,
  copy: Parameters<typeof describeFiles>[1],
): Manifest {
  return {
    schema: 'appc.manifest/1',
    name,
    source: {
      os: readOperatingSystem(gathered.harvest.tree.fs),
      machine: gathered.machine,
      loader: gathered.linkage.loader,
    },
    entries: gathered.entries,
    packages: describePackages(gathered),
    ...(policy.length === 0 ? {} : { policy }),
    ...(needs.length === 0 ? {} : { needs }),
    files: describeFiles(gathered, copy),
  }
}

function requireFree({ name, update = false }: PackRequest, store: Store, digest: string): void {
  const taken = currentOf(store, name)
  if (update || taken === null || taken.container === digest) return
  throw new AppcError('CONTAINER_EXISTS', `there is a container ${name} already`, {
    because: 'what it holds differs from what was to be packed',
    hint: `make it a new generation of ${name} with --update, or choose another name`,
  })
}
