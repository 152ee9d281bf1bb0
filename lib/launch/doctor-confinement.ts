import { type Attempt, addon, type Refusal } from './addon.js'
import type { Check } from './doctor.js'
import { refused } from './doctor-launch.js'
import { findOnPath } from './on-path.js'

/** What parts of a confinement ask: without one, --sandbox works where that part is left out. */
export function confinementChecks({ PATH }: NodeJS.ProcessEnv): readonly Check[] {
  return [checkProcesses(), checkNamespaces(), checkFilter(), checkLandlock(), checkGroup(), checkBusProxy(PATH)]
}

function checkProcesses(): Check {
  const name = 'PID namespace'
  const refusal = addon().probe('processes')
  if (refusal === null) return { name, verdict: 'ok', text: 'with a /proc of its own', hint: null }
  return refused(name, refusal)
}

function checkNamespaces(): Check {
  const name = 'other namespaces'
  const refusal = addon().probe('otherNamespaces')
  if (refusal === null) return { name, verdict: 'ok', text: 'of IPC, host name and network', hint: null }
  return refused(name, refusal)
}

function checkFilter(): Check {
  const refusal = addon().probe('seccomp')
  if (refusal === null) return { name: 'seccomp', verdict: 'ok', text: 'filters of system calls', hint: null }
  return refused('seccomp', refusal)
}

function checkLandlock(): Check {
  const refusal = addon().probe('landlock')
  if (refusal !== null) return refused('Landlock', refusal)
  return { name: 'Landlock', verdict: 'ok', text: `version ${addon().landlockVersion()} of its rules`, hint: null }
}

const CONTROLLERS: readonly (readonly [Attempt, string])[] = [
  ['memoryLimit', 'memory'],
  ['processLimit', 'processes'],
  ['processorLimit', 'processors'],
]

function checkGroup(): Check {
  const name = 'control group'
  const found = CONTROLLERS.map(([attempt, what]) => ({ what, refusal: addon().probe(attempt) }))
  const working = found.filter(({ refusal }) => refusal === null).map(({ what }) => what)
  const [refusal] = found.flatMap(({ refusal }): Refusal[] => (refusal === null ? [] : [refusal]))
  if (refusal === undefined) return { name, verdict: 'ok', text: `limits of ${working.join(', ')}`, hint: null }
  if (working.length === 0) return refused(name, refusal)
  const text = `limits of ${working.join(', ')} alone: ${refusal.message}`
  return { name, verdict: 'limited', text, hint: refusal.hint ?? null }
}

function checkBusProxy(path: string | undefined): Check {
  const name = 'D-Bus proxy'
  const found = findOnPath('xdg-dbus-proxy', path)
  if (found !== null) return { name, verdict: 'ok', text: found, hint: null }
  return {
    name,
    verdict: 'missing',
    text: 'no xdg-dbus-proxy on the PATH: --allow dbus=NAME does not work',
    hint: 'install it (Debian: apt-get install xdg-dbus-proxy)',
  }
}
