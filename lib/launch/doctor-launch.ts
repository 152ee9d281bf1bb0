import { readFileSync, readlinkSync } from 'node:fs'
import { rootFileSystem } from '../loader/root-file-system.js'
import { Targets } from '../plan/overlays.js'
import { hasCode } from '../store/writing.js'
import { addon, type Refusal } from './addon.js'
import type { Check } from './doctor.js'
import { placeOfStore } from './doctor-installation.js'

/** What a launch asks of the kernel, each with the launcher's own steps. */
export function launchChecks(environment: NodeJS.ProcessEnv): readonly Check[] {
  const proc = checkProc()
  const isRoot = process.geteuid?.() === 0
  const mountNamespace = checkMountNamespace()
  const canMount = mountNamespace.verdict === 'ok'
  const place = placeOfStore(environment)
  const points = proc.verdict === 'ok' ? addon().mountPoints() : null
  const binds = canMount ? checkBinds() : untried('binds', mountNamespace)
  return [
    proc,
    checkChroot(points, isRoot),
    checkUserNamespace(isRoot),
    mountNamespace,
    place === null
      ? untried('overlays', { name: 'store' })
      : canMount && points !== null
        ? checkOverlays(place, points, isRoot, binds)
        : untried('overlays', canMount ? proc : mountNamespace),
    binds,
    canMount ? checkExchange() : untried('refresh', mountNamespace),
    checkLimits(),
  ]
}

/** What cannot be tried for want of something else, whose own check tells what helps. */
function untried(name: string, { name: other }: Pick<Check, 'name'>): Check {
  return { name, verdict: 'missing', text: `without ${article(other)} there is none`, hint: null }
}

function article(name: string): string {
  return name === 'proc' ? '/proc' : `a ${name}`
}

function checkProc(): Check {
  const name = 'proc'
  const hint = 'mount it, as root: mount -t proc proc /proc'
  try {
    const id = readlinkSync('/proc/self')
    if (id === String(process.pid)) return { name, verdict: 'ok', text: '/proc is mounted', hint: null }
    return { name, verdict: 'missing', text: `/proc is another PID namespace's: it takes this process for ${id}`, hint }
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'EACCES', 'EINVAL')) throw error
    return { name, verdict: 'missing', text: '/proc is not mounted, or is another PID namespace’s', hint }
  }
}

/** Of one to a mount point nothing can be told: there what is refused says so. */
function checkChroot(points: readonly string[] | null, isRoot: boolean): Check {
  const name = 'chroot'
  if (points === null || points.includes('/')) {
    return { name, verdict: 'ok', text: 'none, as far as can be told', hint: null }
  }
  if (isRoot)
    return { name, verdict: 'ok', text: 'in a chroot, in which root can launch and others cannot', hint: null }
  return {
    name,
    verdict: 'missing',
    text: 'in a chroot, in which the kernel allows a user no namespaces',
    hint: 'launch as root, or from outside with appc-run --root DIR',
  }
}

function checkUserNamespace(isRoot: boolean): Check {
  const name = 'user namespace'
  const refusal = addon().probe('userNamespace')
  if (refusal === null) return { name, verdict: 'ok', text: 'can be created', hint: null }
  if (isRoot)
    return { name, verdict: 'limited', text: `${refusal.message}; root with CAP_SYS_ADMIN needs none`, hint: null }
  return refused(name, refusal)
}

function checkMountNamespace(): Check {
  const refusal = addon().probe('mountNamespace')
  if (refusal !== null) return refused('mount namespace', refusal)
  return {
    name: 'mount namespace',
    verdict: 'ok',
    text: 'can be created, and what is mounted there stays there',
    hint: null,
  }
}

function checkBinds(): Check {
  const refusal = addon().probe('binds')
  if (refusal !== null) return refused('binds', refusal)
  return { name: 'binds', verdict: 'ok', text: 'can stand in for overlays', hint: null }
}

/** For containers that run; a restart does the same. */
function checkExchange(): Check {
  const name = 'refresh'
  const refusal = addon().probe('exchange')
  if (refusal === null)
    return { name, verdict: 'ok', text: 'overlays can be exchanged under a running program', hint: null }
  const text = `${refusal.message}: to see an upgraded host, what runs has to be started anew`
  return { name, verdict: 'limited', text, hint: 'Linux 6.5 or later can' }
}

/** On the directories that containers cover most, with a layer where theirs are. */
function checkOverlays(layer: string, points: readonly string[], isRoot: boolean, binds: Check): Check {
  const name = 'overlays'
  const directories = usualTargets(points, isRoot)
  const found = directories.map(directory => [directory, addon().probe('overlay', layer, directory)] as const)
  const [[, refusal] = ['', null]] = found.filter(([, refusal]) => refusal !== null)
  if (refusal === null) return { name, verdict: 'ok', text: `on ${directories.join(', ')}`, hint: null }
  const without = found.filter(([, refusal]) => refusal !== null).map(([directory]) => directory)
  const text = `none on ${without.join(', ')} (${refusal.code})`
  const hint = refusal.hint ?? null
  if (binds.verdict === 'missing') return { name, verdict: 'missing', text: `${text}, and nothing to stand in`, hint }
  const weaker = 'files are bound one by one, and what the host upgrades is seen by the next launch only'
  return { name, verdict: 'limited', text: `${text}: ${weaker}`, hint }
}

function usualTargets(points: readonly string[], isRoot: boolean): readonly string[] {
  const host = rootFileSystem('/')
  const targets = new Targets(host, points, isRoot ? 'deepest' : 'common')
  const libraries = (host.readdir('/usr/lib') ?? []).filter(name => name.endsWith('-linux-gnu'))
  const usual = ['/usr/bin', '/usr/lib', ...libraries.map(name => `/usr/lib/${name}`), '/usr/lib64', '/usr/share']
  const existing = usual.filter(directory => host.lstat(directory)?.kind === 'directory')
  return [...new Set(existing.map(directory => targets.of(`${directory}/file`)))]
}

/** Fewer than a directory of libraries has names. */
const FEW_MOUNTS = 10_000

function checkLimits(): Check {
  const name = 'limits'
  const settings = ['user.max_user_namespaces', 'user.max_mnt_namespaces', 'user.max_pid_namespaces', 'fs.mount-max']
  const known = settings.flatMap(setting => {
    const value = readSetting(setting)
    return value === null ? [] : [[setting, value] as const]
  })
  const text = known.length === 0 ? 'cannot be read here' : known.map(pair => pair.join(' ')).join(', ')
  const low = known.find(([setting, value]) => value < (setting === 'fs.mount-max' ? FEW_MOUNTS : 1))
  if (low === undefined) return { name, verdict: 'ok', text, hint: null }
  return { name, verdict: 'limited', text, hint: `raise it, as root: sysctl ${low[0]}=100000` }
}

/** null where /proc/sys does not show it. */
function readSetting(setting: string): number | null {
  try {
    return Number(readFileSync(`/proc/sys/${setting.replace('.', '/')}`, 'utf8'))
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EACCES', 'ENOTDIR')) return null
    throw error
  }
}

/** What appc-run would say. */
export function refused(name: string, { message, hint }: Refusal): Check {
  return { name, verdict: 'missing', text: message, hint: hint ?? null }
}
