import { lstatSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { AppcError } from '../errors.js'
import { readRegular } from '../store/regular.js'
import type { Store } from '../store/store.js'
import { hasCode } from '../store/writing.js'
import { type Problem, problem } from '../upkeep/problems.js'
import { decodePlan, planKey } from './file.js'
import { HEADER, MAGIC, MAX_SIZE, VERSION } from './layout.js'
import { namesIn } from './names-in.js'
import type { Plan } from './types.js'

/** Plans, of one container or of all, that are damaged; and what they tell of and is lost. */
export function checkPlans(store: Store, name: string | null): readonly Problem[] {
  const directory = join(store.home, 'plans')
  const { names, problems } = namesIn(directory)
  const plans = names.filter(plan => name === null || isPlanOf(plan, name))
  const lost = new Map<string, Problem>()
  const found = plans.flatMap(plan => checkPlan(store, join(directory, plan), lost))
  return [...problems, ...found, ...lost.values()]
}

/** Neither @ nor ~ can be part of a name. */
function isPlanOf(plan: string, name: string): boolean {
  return plan === name || plan.startsWith(`${name}@`) || plan.startsWith(`${name}~`)
}

function checkPlan(store: Store, path: string, lost: Map<string, Problem>): readonly Problem[] {
  try {
    const bytes = readRegular(path, MAX_SIZE, '')
    if (isOfAnotherVersion(bytes)) return []
    const plan = decodePlan(bytes)
    for (const ref of lostRefsOf(store, plan)) lost.set(ref, problem('ref', ref, LOST))
    if (isNamed(basename(path), plan)) return []
    return [problem('plan', path, 'it is of something else than its name says')]
  } catch (error) {
    // Removed since it was listed: its container is planned for anew.
    if (hasCode(error, 'ENOENT')) return []
    if (error instanceof AppcError) return [problem('plan', path, error.because ?? error.message)]
    if (!(error instanceof Error && 'code' in error)) throw error
    return [problem('plan', path, `it cannot be read (${error.code})`)]
  }
}

const LOST = 'it is gone with its second copy, and there is a plan for its container'

/** Whoever removes a container removes its plans first. Those of the system's containers rest on refs elsewhere. */
function lostRefsOf(store: Store, { guards }: Plan): readonly string[] {
  const refs = join(store.home, 'refs')
  const spareOf = (ref: string) => join(store.home, 'spare', basename(ref))
  return guards
    .filter(({ kind, path }) => kind === 'identity' && dirname(path) === refs)
    .map(({ path }) => path)
    .filter(ref => [ref, spareOf(ref)].every(path => lstatSync(path, { throwIfNoEntry: false }) === undefined))
}

/** Of one for a tree the name tells which directory that was; by now another may be at its path, or none. */
function isNamed(key: string, { request, root, loaderEnvironment }: Plan): boolean {
  const [subject = '', ...libraryDirectories] = request
  const kind = key.startsWith('=') ? 'program' : 'container'
  if (root !== null) return kind === 'program' || isPlanOf(key, subject)
  return key === planKey({ kind, subject, libraryDirectories, root: null }, loaderEnvironment)
}

/** Another appc has left it, and the next launch replaces it. Of a damaged one any byte may say so, but then it is not launched either. */
function isOfAnotherVersion(bytes: Buffer): boolean {
  if (bytes.length < HEADER.end || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return false
  return bytes.readUInt32LE(HEADER.version) !== VERSION
}
