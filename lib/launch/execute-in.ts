import { readFileSync, writeFileSync } from 'node:fs'
import { AppcError } from '../errors.js'
import { parseMounts, visibleMounts } from '../store/mount-table.js'
import type { Store } from '../store/store.js'
import { addon, changedEnvironment } from './addon.js'
import { readPlan } from './destination.js'
import { openNamespaces } from './enter.js'
import { launcherPath } from './launcher.js'
import { look, type Process, readMountinfo } from './processes.js'
import type { Running } from './running.js'

/**
 * Becomes a command in the container, with the caller's environment and what the container's plan changes in it. What confines the
 * program confines the command: namespaces and mounts as it enters them, its control group, and by the launcher all that a process
 * does to itself.
 */
export function executeIn(store: Store, container: Running, command: readonly Uint8Array[]): never {
  const { program, signature } = container
  const { namespaces } = openNamespaces(container)
  const plan = readPlan({ store, key: signature.key, root: null })
  const changes = plan?.environment ?? [{ name: 'APPC_CONTAINER', value: container.name }]
  const confined = signature.confinement === null ? [] : confinedAs(program, signature.confinement)
  const variables = changedEnvironment(signature.confinement === null ? changes : [...sessionOf(program), ...changes])
  if (signature.supervised) joinControlGroup(container)
  const argv = ['appc-run', `--enter=${namespaces.join()}`, ...confined, '--', ...command]
  return addon().execve(launcherPath, argv, variables, [0, 1, 2, ...namespaces])
}

/** Nothing of the host can be written to (native/core/confinement.h). */
const READ_ONLY = 1

/** Bytes of the table of mounts; a confined program cannot add to it. */
const MOST_MOUNTS = 16 << 20

/** What can be written is told by the mounts: with the host read-only, all others are the program's. */
function confinedAs({ pid }: Process, parts: number): readonly string[] {
  const mounts = (parts & READ_ONLY) === 0 ? [] : visibleMounts(parseMounts(readMountinfo(pid, MOST_MOUNTS) ?? ''))
  const points = mounts.filter(({ readOnly }) => !readOnly).map(({ point }) => point)
  const topmost = points.filter(point => !points.some(other => other !== point && point.startsWith(`${other}/`)))
  return [`--confined-as=${pid}:${parts.toString(16)}`, ...topmost.map(point => `--rw=${point}`)]
}

/** Variables that lead to what a confined program sees of the user's session, if anything. */
const SESSION = [
  'TMPDIR',
  'DISPLAY',
  'WAYLAND_DISPLAY',
  'PULSE_SERVER',
  'XDG_RUNTIME_DIR',
  'DBUS_SESSION_BUS_ADDRESS',
  'DBUS_SYSTEM_BUS_ADDRESS',
]

/** As the program has them. All others are the caller's: what a program has in its environment, it may have made up. */
function sessionOf({ pid }: Process): readonly { readonly name: string; readonly value: string | null }[] {
  const variables = (look(() => readFileSync(`/proc/${pid}/environ`, 'utf8')) ?? '').split('\0')
  return SESSION.map(name => {
    const variable = variables.find(text => text.startsWith(`${name}=`))
    return { name, value: variable?.slice(name.length + 1) ?? null }
  })
}

/** The program's, where its launch has made one for it: the limits of all together count the command too. */
function joinControlGroup({ name, leader, program }: Running): void {
  const group = controlGroupOf(program)
  if (group === null || group === controlGroupOf(leader)) return
  try {
    writeFileSync(`/sys/fs/cgroup${group}/cgroup.procs`, String(process.pid))
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error)
    throw new AppcError('KERNEL_REFUSED', `${name} cannot be entered`, {
      because: `its limits would not hold for the command: ${because}`,
      cause: error,
    })
  }
}

/** In the one hierarchy of version 2. */
function controlGroupOf({ pid }: Process): string | null {
  const text = look(() => readFileSync(`/proc/${pid}/cgroup`, 'utf8'))
  return /^0::(\/.*)$/m.exec(text ?? '')?.[1] ?? null
}
