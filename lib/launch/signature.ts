import { statSync } from 'node:fs'
import type { Store } from '../store/store.js'

/**
 * What a launch calls its overlays (native/launcher/signature.cpp). It is the launcher's word: whoever may not mount cannot make one up,
 * unlike an environment.
 */
export interface Signature {
  /** Device and inode of the store. */
  readonly store: string
  /** Of the plan (lib/plan/file.ts). */
  readonly key: string
  /** The name of the directory that holds the layers. */
  readonly view: string
  /** Different for each launch. */
  readonly launch: string
  /** The parts of the confinement that holds for the program (native/core/confinement.h); null without one. */
  readonly confinement: number | null
  /** A process stays beside the program. */
  readonly supervised: boolean
}

const FORM = /^appc:([0-9a-f]+:[0-9a-f]+)\/([^/]+)\/([^/]+)\/([0-9a-f]{16})\/([0-9a-f]{1,8})$/
const SUPERVISED = 1 << 16
const CONFINED = 1 << 17

/** null for the source of any other mount. */
export function parseSignature(source: string): Signature | null {
  const [, store, key, view, launch, parts] = FORM.exec(source) ?? []
  if (!store || !key || !view || !launch || !parts) return null
  const bits = Number.parseInt(parts, 16)
  const confinement = (bits & CONFINED) === 0 ? null : bits & (SUPERVISED - 1)
  return { store, key, view, launch, confinement, supervised: (bits & SUPERVISED) !== 0 }
}

/** The container's name; null for a plain program. */
export function nameInKey(key: string): string | null {
  return key.startsWith('=') ? null : (key.split(/[@~]/)[0] ?? null)
}

export function storeInSignature({ home }: Store): string {
  const { dev, ino } = statSync(home, { bigint: true })
  return `${dev.toString(16)}:${ino.toString(16)}`
}
