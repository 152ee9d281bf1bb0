import { readFileSync } from 'node:fs'
import type { Owner } from './addon.js'
import { look, namespaceOf } from './processes.js'

/**
 * Whether nobody but the caller can have made what lies in a namespace with this owner, which the process `pid` is in. Root's is what
 * belongs to his own user namespace. Everybody's is what belongs to a user namespace that he has made as the launcher does, with
 * nobody in it but him: those of others' containers (LXC, Podman) may be his, too, but have more users.
 */
export function isOwn(owner: Owner, pid: number): boolean {
  const uid = process.geteuid?.() ?? 0
  const namespace = `user:[${owner.userNamespace}]`
  if (namespace === namespaceOf('self', 'user')) return uid === 0
  const map = look(() => readFileSync(`/proc/${pid}/uid_map`, 'latin1'))?.trim()
  const isAlone = map?.split(/\s+/).join(' ') === `${uid} ${uid} 1`
  return owner.uid === uid && isAlone && namespaceOf(pid, 'user') === namespace
}
