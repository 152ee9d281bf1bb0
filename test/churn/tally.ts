import type { Launch } from './launching.js'

/** What came of launches. */
export interface Tally {
  readonly launches: number
  readonly right: number
  /** Ended by appc, since the host kept changing. */
  readonly gaveUp: number
  /** Not started by the loader, since something was replaced at the last moment where nothing of the container's lies. */
  readonly overtaken: number
  /** Each with why. */
  readonly wrong: readonly string[]
}

/** What came of a whole campaign. */
export interface Result extends Tally {
  readonly cycles: number
  /** How often Node was started. */
  readonly planned: number
  readonly seconds: number
}

export const NONE: Tally = { launches: 0, right: 0, gaveUp: 0, overtaken: 0, wrong: [] }

/** 'right', 'gave up', or what is wrong. */
export type Verdict = 'right' | 'gave up' | 'overtaken' | { readonly wrong: string }

/** What changed on the host during a launch. */
export interface Disturbance {
  readonly any: boolean
  /** What need not be covered: libraries in other directories, the loader's cache. There, a program meets what is there when its loader comes. */
  readonly uncovered: boolean
}

/**
 * `judgeReport` says what is wrong with what the program told, or null. That appc gives up is no answer to a host that has come to rest.
 */
export function verdictOf(launch: Launch, changed: Disturbance, judgeReport: (text: string) => string | null): Verdict {
  const { status, signal, stdout, stderr } = launch
  if (status === 125 && /^appc-run: the host keeps changing/.test(stderr))
    return changed.any ? 'gave up' : { wrong: `nothing changed, and yet: ${stderr}` }
  // The loader's own failure, before the program's first instruction: dl-error-minimal.c, _dl_signal_exception.
  const isRefused = stdout === '' && (status === 1 || status === 127) && !stderr.startsWith('appc-run:')
  if (isRefused && changed.uncovered) return 'overtaken'
  if (status !== 0) return { wrong: `it ended with ${signal ?? status}: ${stderr}` }
  const fault = judgeReport(stdout)
  return fault === null ? 'right' : { wrong: fault }
}

/** `told` is what else there is to know of a launch that went wrong. */
export function counted(tally: Tally, verdict: Verdict, told: () => string): Tally {
  const launches = tally.launches + 1
  if (verdict === 'right') return { ...tally, launches, right: tally.right + 1 }
  if (verdict === 'overtaken') return { ...tally, launches, overtaken: tally.overtaken + 1 }
  if (verdict === 'gave up') return { ...tally, launches, gaveUp: tally.gaveUp + 1 }
  return { ...tally, launches, wrong: [...tally.wrong, `${verdict.wrong}\n${told()}`] }
}
