import { closeSync, fstatSync, openSync } from 'node:fs'
import { AppcError } from '../errors.js'
import { addon, type Owner } from './addon.js'
import { isOwn } from './owner.js'
import { type NamespaceKind, namespaceOf, readProcess } from './processes.js'
import type { Running } from './running.js'

/** Open namespaces of a container: those that the caller is not in, in the order in which they are entered. */
export interface Entrance {
  readonly namespaces: readonly number[]
  readonly mounts: number
}

/** A user namespace first, which gives the right to enter the others. */
const KINDS: readonly NamespaceKind[] = ['user', 'cgroup', 'ipc', 'uts', 'net', 'pid', 'mnt']

/**
 * Opens the namespaces of a container. Who enters has the caller's rights there, root's even, and would be at the mercy of whoever has
 * made them: so each has to be the caller's own. Throws KERNEL_REFUSED, and CONTAINER_NOT_RUNNING when it has ended meanwhile.
 */
export function openNamespaces({ name, program }: Running): Entrance {
  const opened = new Map<NamespaceKind, number>()
  try {
    for (const kind of KINDS) {
      const namespace = openSync(`/proc/${program.pid}/ns/${kind}`, 'r')
      if (`${kind}:[${fstatSync(namespace).ino}]` === namespaceOf('self', kind)) closeSync(namespace)
      else opened.set(kind, namespace)
    }
    const mounts = opened.get('mnt')
    const owner = mounts === undefined ? null : addon().ownerOf(mounts)
    if (mounts === undefined || owner === null || !isOwn(owner, program.pid)) throw foreign(name, 'mnt')
    for (const [kind, namespace] of opened) requireOwner(name, kind, namespace, owner)
    // All that was opened is that process's: had its id been given to another one meanwhile, it could not be there now.
    if (readProcess(program.pid)?.started !== program.started) throw ended(name)
    return { namespaces: [...opened.values()], mounts }
  } catch (error) {
    for (const namespace of opened.values()) closeSync(namespace)
    throw error instanceof AppcError ? error : asRefusal(name, program.pid, error)
  }
}

/** The program could have a namespace of its own by now, in which it is master. */
function requireOwner(name: string, kind: NamespaceKind, namespace: number, owner: Owner): void {
  const userNamespace = kind === 'user' ? fstatSync(namespace).ino : addon().ownerOf(namespace)?.userNamespace
  const isMachines = `user:[${userNamespace}]` === namespaceOf('self', 'user')
  if (userNamespace !== owner.userNamespace && !isMachines) throw foreign(name, kind)
}

function foreign(name: string, kind: NamespaceKind): AppcError {
  return new AppcError('KERNEL_REFUSED', `${name} cannot be entered`, {
    because: `its ${kind} namespace is not one that its launch has made`,
  })
}

function ended(name: string): AppcError {
  return new AppcError('CONTAINER_NOT_RUNNING', `${name} has ended`)
}

function asRefusal(name: string, pid: number, error: unknown): AppcError {
  if (readProcess(pid) === null) return ended(name)
  const because = error instanceof Error ? error.message : String(error)
  return new AppcError('KERNEL_REFUSED', `${name} cannot be entered`, { because, cause: error })
}
