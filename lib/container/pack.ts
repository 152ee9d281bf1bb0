import { createHash } from 'node:crypto'
import { AppcError } from '../errors.js'
import { readOperatingSystem } from '../host/os.js'
import { rootFileSystem } from '../loader/root-file-system.js'
import type { OpenFile } from '../loader/types.js'
import { checkName, readRef } from '../store/refs.js'
import type { Store } from '../store/store.js'
import { Writer } from '../store/writer.js'
import type { Container } from './containers.js'
import { describeFiles, describePackages } from './describe.js'
import { checkEntryName } from './entries.js'
import { type Gathered, gather, type Selection } from './gather.js'
import { encodeManifest } from './manifest.js'
import type { PolicyRule } from './policy.js'
import type { Manifest } from './types.js'

export interface PackRequest extends Selection {
  /** The tree to pack from: an absolute path of this machine, `/` for the machine itself. */
  readonly root: string
  readonly name: string
  /** What is fixed for this container's libraries, on every host; absent: nothing. */
  readonly policy?: readonly PolicyRule[]
  /** What the programs need of the host when they are confined. */
  readonly needs?: readonly string[]
}

/**
 * Packs programs of a tree with all that they need into a container of the store. The same tree gives the same digest; a name
 * that is taken by the same content is no error (and what was damaged of it is mended), by other content it is
 * CONTAINER_EXISTS. After any error the store is as it was.
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
    checkFree(store, request.name, digest)
    writer.add(openBytes(bytes), false)
    writer.commit()
    // Somebody else may have taken the name since it was checked.
    if (!writer.publish(request.name, digest)) checkFree(store, request.name, digest)
    return { name: request.name, store: store.home, digest, manifest }
  })
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

function checkFree(store: Store, name: string, digest: string): void {
  const taken = readRef(store, name)
  if (taken === null || taken === digest) return
  throw new AppcError('CONTAINER_EXISTS', `there is a container ${name} already`, {
    because: 'what it holds differs from what was to be packed',
    hint: `remove it first (appc remove ${name}), or choose another name`,
  })
}

function openBytes(bytes: Buffer): OpenFile {
  return { size: bytes.length, read: (buffer, position) => bytes.copy(buffer, 0, position), close: () => {} }
}
