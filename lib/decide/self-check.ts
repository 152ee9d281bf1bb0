import { join, parent } from '../loader/file-system.js'
import type { Subject } from './constraints.js'
import type { Contents } from './home.js'
import { fileIdentity, nameChain } from './host-paths.js'
import { type Mix, nameOf } from './mix.js'
import type { Places } from './placement.js'
import type { Selection } from './selection.js'
import type { DecisionProblem, Host } from './types.js'

/**
 * The last word before a plan is made: resolved once more over the planned overlay, every soname must come out as it was
 * decided, and no name of the host may still reach a file that was replaced.
 */
export function selfCheck(
  host: Host,
  contents: Contents,
  selection: Selection,
  mix: Mix,
  places: Places,
  subjects: readonly Subject[],
): readonly DecisionProblem[] {
  return [...wrongCopies(contents, selection, mix, subjects), ...reachableStill(host, mix, places)]
}

function wrongCopies(
  contents: Contents,
  selection: Selection,
  mix: Mix,
  subjects: readonly Subject[],
): readonly DecisionProblem[] {
  return subjects.flatMap(({ graph, file }) =>
    graph.objects.flatMap(object => {
      const name = nameOf(object)
      const own = mix.fileOf(object)
      const library = contents.libraries.get(name)
      // Another file of the container's by that name, which lies beside a program, is none that was decided on.
      const isAnother = own !== null && own !== library
      if (library === undefined || isAnother || selection.sonames.has(name) === (own !== null)) return []
      const wanted = selection.sonames.has(name) ? "the container's" : "the host's"
      return [clash(`${file.path} would load ${object.path}, though ${wanted} ${name} was decided on`)]
    }),
  )
}

/** Looks through the directories of the replaced files, where a forgotten alias (a hard link, a development link) would lie. */
function reachableStill(host: Host, mix: Mix, places: Places): readonly DecisionProblem[] {
  const replaced = new Map<string, string>()
  for (const paths of places.libraries.values()) {
    for (const path of paths) {
      const stat = host.fs.lstat(path)
      if (stat?.kind === 'file') replaced.set(fileIdentity(stat), path)
    }
  }
  const directories = new Set([...replaced.values()].map(parent))
  return [...directories].flatMap(directory =>
    (mix.fs.readdir(directory) ?? []).flatMap(name => {
      const path = join(directory, name)
      const own = mix.fs.lstat(path)
      const end = own?.kind === 'symlink' ? nameChain(mix.fs, path).at(-1) : path
      const stat = own?.kind !== 'symlink' ? own : end === undefined ? null : mix.fs.lstat(end)
      const old = stat?.kind === 'file' ? replaced.get(fileIdentity(stat)) : undefined
      return old === undefined ? [] : [clash(`${path} would still reach the host's ${old}, which is replaced`)]
    }),
  )
}

function clash(text: string): DecisionProblem {
  return { kind: 'clash', text }
}
