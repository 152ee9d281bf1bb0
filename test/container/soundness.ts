import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isExecutable, listContainers } from '../../lib/container/containers.js'
import { objectPath } from '../../lib/store/objects.js'
import type { Store } from '../../lib/store/store.js'

/** What is wrong with a store: objects that are not what their names say, containers whose files are not all there. */
export function wrongs(store: Store): string[] {
  const objects = readdirSync(join(store.home, 'objects'), { recursive: true, encoding: 'utf8' })
  const files = objects.map(path => join(store.home, 'objects', path)).filter(path => statSync(path).isFile())
  const sound = new Set(
    files.filter(path => {
      const digest = createHash('sha256').update(readFileSync(path)).digest('hex')
      const executable = path.endsWith('.x')
      return (
        path === objectPath(store, digest, executable) &&
        (statSync(path).mode & 0o7777) === (executable ? 0o555 : 0o444)
      )
    }),
  )
  const incomplete = listContainers({ own: store, system: null }).flatMap(({ name, manifest }) =>
    manifest.files.flatMap(file =>
      file.type !== 'file' || sound.has(objectPath(store, file.sha256, isExecutable(file.mode)))
        ? []
        : [`${name} lacks ${file.path}`],
    ),
  )
  return [...files.filter(path => !sound.has(path)), ...incomplete]
}
