import type { Graph, LoadedObject } from '../loader/types.js'
import type { Judged, Subject } from './constraints.js'
import { bringers, type Demand, demandOneOf, tell } from './demand.js'
import { nameOf } from './mix.js'

/**
 * Rule 4 for what is loaded together: an object and the one whose `*_PRIVATE` version it needs are of one build. Both define and
 * need that version whatever the build, so the version itself tells nothing; where each comes from does.
 */
export function demandOneBuild(judged: Judged, { graph }: Subject): readonly Demand[] {
  return strangeBuilds(judged, graph).map(({ object, provider, text }) => {
    const names = [nameOf(provider), nameOf(object), ...bringers(graph, object)]
    const about = [nameOf(provider), nameOf(object)].filter(name => judged.selection.sonames.has(name))
    return demandOneOf(judged.selection, names, { rule: 'lockstep', text }, about, { kind: 'clash', text })
  })
}

/** Who shares a private version in one process, and is not of one build. */
export function strangeBuilds(
  judged: Judged,
  graph: Graph,
): readonly { readonly object: LoadedObject; readonly provider: LoadedObject; readonly text: string }[] {
  return graph.objects.flatMap(object =>
    object.facts.verneeds
      .filter(({ version }) => version.endsWith('_PRIVATE'))
      .flatMap(({ file, version }) => {
        const provider = graph.objects.find(({ names }) => names.includes(file))
        if (provider === undefined || areOfOneBuild(judged, object, provider)) return []
        const text = `${tell(judged.mix, object)} and ${tell(judged.mix, provider)} share ${version}, and are not of one build`
        return [{ object, provider, text }]
      }),
  )
}

/** From the same side, or from both when the host's copy of one is the very build that the container holds. */
function areOfOneBuild({ contents, mix }: Judged, one: LoadedObject, other: LoadedObject): boolean {
  if ((mix.fileOf(one) === null) === (mix.fileOf(other) === null)) return true
  const host = mix.fileOf(one) === null ? one : other
  const packed = contents.libraries.get(nameOf(host))?.elf?.buildId
  return packed !== undefined && packed !== null && packed === host.facts.buildId
}
