import type { Subject } from './constraints.js'
import type { Contents } from './home.js'
import { hostPath, namesTo } from './host-paths.js'
import type { Mix } from './mix.js'
import type { Selection } from './selection.js'
import type { Host, Placement } from './types.js'

/** What configures the host's loader and its packages; a change of any may change the answer. */
const CONFIGURATION = [
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/ld.so.preload',
  '/var/lib/dpkg/status',
]

/** Every host path, present or absent, that the decision rests on. */
export function evidenceOf(
  host: Host,
  contents: Contents,
  selection: Selection,
  mix: Mix,
  placement: Placement,
  subjects: readonly Subject[],
): readonly string[] {
  const paths = new Set<string>()
  const add = (path: string) => {
    if (!placement.has(path)) paths.add(path)
  }
  for (const path of CONFIGURATION) for (const name of namesTo(host.fs, path)) add(name)
  for (const { graph } of subjects) {
    for (const object of graph.objects) {
      if (mix.fileOf(object) === null) for (const name of namesTo(host.fs, object.path)) add(name)
    }
    for (const { watched, tried } of [{ ...graph, tried: [] }, ...graph.edges]) {
      for (const path of [...watched, ...tried]) add(hostPath(host.fs, path))
    }
  }
  for (const file of contents.manifest.files) if (selection.goesByPath(file)) paths.add(hostPath(host.fs, file.path))
  // What is covered counts too: when the host's own copy is replaced it may serve after all, or go by another name.
  for (const [path, node] of placement) {
    if (node.kind === 'file' && node.file.elf?.role === 'library')
      for (const name of namesTo(host.fs, path)) paths.add(name)
  }
  return [...paths].sort()
}

/** What the entries run with from the beginning, and where that was looked for: links on the way, and names that were tried in vain. */
export function startUpOf(host: Host, contents: Contents, subjects: readonly Subject[]): ReadonlySet<string> {
  const paths = new Set<string>()
  const add = (path: string) => {
    for (const name of namesTo(host.fs, path)) paths.add(name)
    paths.add(hostPath(host.fs, path))
  }
  for (const { path } of contents.manifest.entries) {
    const end = contents.follow(path)
    if (end) add(end.path)
  }
  const programs = new Set(contents.programs())
  for (const { file, graph } of subjects) {
    if (!programs.has(file)) continue
    for (const { path, realPath } of graph.objects) for (const each of [path, realPath]) add(each)
    for (const { watched, tried } of [{ ...graph, tried: [] }, ...graph.edges])
      for (const path of [...watched, ...tried]) paths.add(hostPath(host.fs, path))
  }
  return paths
}
