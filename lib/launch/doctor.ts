import { confinementChecks } from './doctor-confinement.js'
import { installationChecks } from './doctor-installation.js'
import { launchChecks } from './doctor-launch.js'

/** One thing that appc needs of this system, tried for this user. */
export interface Check {
  readonly name: string
  /** `limited`: it works with something weaker in its place; `missing`: something does not work. */
  readonly verdict: 'ok' | 'limited' | 'missing'
  /** What was found, what stands in, or what does not work. */
  readonly text: string
  /** What helps; null where nothing needs to, or nothing can be done. */
  readonly hint: string | null
}

export interface Diagnosis {
  /** Whether containers can be launched here, be it with something weaker in some place. */
  readonly launches: boolean
  readonly checks: readonly Check[]
}

/** Without one of these no container that has files of its own can be launched. All others are for a part of appc. */
const NEEDED: readonly string[] = ['node', 'launcher', 'store', 'proc', 'mount namespace', 'overlays']

/** Says beforehand what works here, found by trying. */
export async function examine(environment: NodeJS.ProcessEnv): Promise<Diagnosis> {
  const checks = [
    ...(await installationChecks(environment)),
    ...launchChecks(environment),
    ...confinementChecks(environment),
  ]
  return { launches: !checks.some(({ name, verdict }) => verdict === 'missing' && NEEDED.includes(name)), checks }
}
