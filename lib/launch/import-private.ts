import { statSync } from 'node:fs'
import { isExecutable } from '../container/containers.js'
import type { PackedRegular } from '../container/types.js'
import { AppcError } from '../errors.js'
import type { FileSystem } from '../loader/types.js'
import type { LaidNodes } from '../plan/settings.js'
import { objectPath } from '../store/objects.js'
import type { Store } from '../store/store.js'
import { Writer } from '../store/writer.js'

/** Copies the private files of a plain program into the store; returns where on the machine they were read. */
export function importFiles(store: Store, laid: LaidNodes, fs: FileSystem): readonly string[] {
  const files = privateFiles(laid)
  addAll(store, files, (writer, file) => {
    const source = fs.open(file.path)
    try {
      const { sha256 } = writer.add(source, isExecutable(file.mode))
      if (sha256 !== file.sha256) throw new AppcError('PLAN_UNSTABLE', `${file.path} changed while it was planned for`)
    } finally {
      source.close()
    }
  })
  return files.map(file => fs.hostPath(file.path)).filter(path => path !== null)
}

/**
 * Copies what is private of a container of the system's into the caller's store, where it is not there yet: nobody may link files that are
 * root's (fs.protected_hardlinks, proc_sys_fs(5)), nor across file systems. Throws STORE_CORRUPT for the system's.
 */
export function importObjects(own: Store, system: Store, laid: LaidNodes): void {
  const missing = privateFiles(laid).filter(file => sizeOf(own, file) !== file.size)
  for (const file of missing) if (sizeOf(system, file) !== file.size) throw corrupt(system, file)
  addAll(own, missing, (writer, file) => {
    const executable = isExecutable(file.mode)
    const { sha256 } = writer.copy(objectPath(system, file.sha256, executable), executable)
    if (sha256 !== file.sha256) throw corrupt(system, file)
  })
}

/** The same for one that is damaged in the caller's store. False where the system's is no better. */
export function importAgain(own: Store, system: Store, file: PackedRegular): boolean {
  if (sizeOf(system, file) !== file.size) return false
  return Writer.use(own, writer => {
    const executable = isExecutable(file.mode)
    const { sha256 } = writer.copy(objectPath(system, file.sha256, executable), executable)
    if (sha256 === file.sha256) writer.commit()
    return sha256 === file.sha256
  })
}

/** Those of different bytes. */
function privateFiles(laid: LaidNodes): readonly PackedRegular[] {
  const files = [...laid.values()].flatMap(node => (node.kind === 'file' ? [node.file] : []))
  return [...new Map(files.map(file => [`${file.sha256}${isExecutable(file.mode)}`, file])).values()]
}

function addAll(
  store: Store,
  files: readonly PackedRegular[],
  add: (writer: Writer, file: PackedRegular) => void,
): void {
  if (files.length === 0) return
  Writer.use(store, writer => {
    for (const file of files) add(writer, file)
    writer.commit()
  })
}

/** null where there is no such object. */
function sizeOf(store: Store, { sha256, mode }: PackedRegular): number | null {
  return statSync(objectPath(store, sha256, isExecutable(mode)), { throwIfNoEntry: false })?.size ?? null
}

function corrupt(store: Store, { sha256, mode }: PackedRegular): AppcError {
  return new AppcError(
    'STORE_CORRUPT',
    `the store's object ${objectPath(store, sha256, isExecutable(mode))} is damaged`,
    {
      because: 'it is not there, or does not have the bytes that it is named by',
      hint: 'have root mend it: appc repair',
    },
  )
}
