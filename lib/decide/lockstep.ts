import type { LoadedObject } from '../loader/types.js'
import { type Demand, remedy, type Subject, tell } from './constraints.js'
import type { Contents } from './home.js'
import { type Mix, nameOf } from './mix.js'
import type { Selection } from './selection.js'

/**
 * Rule 4 for what is loaded together: an object and the one whose `*_PRIVATE` version it needs are of one build. Both define and
 * need that version whatever the build, so the version itself tells nothing; where each comes from does.
 */
export function demandOneBuild(
  contents: Contents,
  selection: Selection,
  mix: Mix,
  { graph }: Subject,
): readonly Demand[] {
  return graph.objects.flatMap(object =>
    object.facts.verneeds
      .filter(({ version }) => version.endsWith('_PRIVATE'))
      .flatMap(({ file, version }): readonly Demand[] => {
        const provider = graph.objects.find(({ names }) => names.includes(file))
        if (provider === undefined || areOfOneBuild(contents, mix, object, provider)) return []
        const text = `${tell(mix, object)} and ${tell(mix, provider)} share ${version}, and are not of one build`
        const taken = remedy(contents, selection, [nameOf(provider), nameOf(object)], { rule: 'lockstep', text })
        return [taken ?? { kind: 'problem', problem: { kind: 'clash', text } }]
      }),
  )
}

/** From the same side, or from both when the host's copy of one is the very build that the container holds. */
function areOfOneBuild(contents: Contents, mix: Mix, one: LoadedObject, other: LoadedObject): boolean {
  if ((mix.fileOf(one) === null) === (mix.fileOf(other) === null)) return true
  const host = mix.fileOf(one) === null ? one : other
  const packed = contents.libraries.get(nameOf(host))?.elf?.buildId
  return packed !== undefined && packed !== null && packed === host.facts.buildId
}
