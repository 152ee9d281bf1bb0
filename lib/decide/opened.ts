import type { PackedRegular } from '../container/types.js'
import { type Dlopened, type Process, resolveDlopen } from '../loader/dlopen.js'
import type { Graph } from '../loader/types.js'
import { demandLibrariesAndVersions, type Judged, type Subject } from './constraints.js'
import type { Demand } from './demand.js'
import type { Looked } from './mix.js'

/** What a program opens by dlopen, as far as notes or a recorded run tell: each call's objects to be judged, and what fails. */
export interface Opened {
  readonly subjects: readonly Subject[]
  readonly demands: readonly Demand[]
}

/**
 * Supposes that a program opens at once all that the notes of its private objects name and that a recorded run opened. Only what was
 * found at home is expected here. The notes of the host's objects are the host's affair.
 */
export function openAll(looked: Looked, judged: Judged, file: PackedRegular, graph: Graph): Opened {
  const subjects: Subject[] = []
  const demands: Demand[] = []
  let process: Process = { graph, staticTls: 0 }
  if (graph.loader === null) return { subjects, demands }
  for (let caller = 0; caller < process.graph.objects.length; caller++) {
    for (const { name, required } of namesOpenedBy(judged, process.graph, caller, file)) {
      const before = process.graph.objects.length
      const opened: Dlopened = resolveDlopen(judged.mix.fs, process, caller, name, looked.context, looked.facts)
      const { graph } = opened
      if (opened.object < 0 || graph.problems.some(({ kind }) => kind !== 'undecidable')) {
        const failed = { file, graph, scope: graph, judged: [] }
        for (const demand of demandLibrariesAndVersions(judged, failed))
          demands.push(required ? demand : optional(demand))
        continue
      }
      const added = [...graph.objects.keys()].slice(before)
      if (added.length > 0) subjects.push({ file, graph, scope: graph, judged: added })
      process = opened
    }
  }
  return { subjects, demands }
}

interface Name {
  readonly name: string
  readonly required: boolean
}

function namesOpenedBy(
  { contents, mix }: Judged,
  graph: Graph,
  caller: number,
  program: PackedRegular,
): readonly Name[] {
  const object = graph.objects[caller]
  const file = caller === 0 ? program : object && mix.fileOf(object)
  const { dlopened = {}, dlopen = [] } = file?.elf ?? {}
  const noted = Object.keys(dlopened).map(name => ({
    name,
    required: dlopen.some(({ soname, priority }) => priority === 'required' && soname.includes(name)),
  }))
  const recorded = caller === 0 ? contents.recorded().map(([name]) => ({ name, required: false })) : []
  return [...noted, ...recorded]
}

/** The program runs without it, if less well: made private where that helps, and told where it does not. */
function optional(demand: Demand): Demand {
  const text = demand.otherwise?.text
  return text === undefined ? demand : { ...demand, otherwise: { kind: 'note', text } }
}
