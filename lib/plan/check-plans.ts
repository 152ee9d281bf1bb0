import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { readRegular } from '../store/regular.js'
import type { Store } from '../store/store.js'
import { hasCode } from '../store/writing.js'
import { type Problem, problem } from '../upkeep/problems.js'
import { decodePlan } from './file.js'
import { HEADER, MAGIC, MAX_SIZE, VERSION } from './layout.js'
import { namesIn } from './names-in.js'

/** Plans, of one container or of all, that are damaged. */
export function checkPlans(store: Store, name: string | null): readonly Problem[] {
  const directory = join(store.home, 'plans')
  const { names, problems } = namesIn(directory)
  const plans = names.filter(plan => name === null || isPlanOf(plan, name))
  return [...problems, ...plans.flatMap(plan => checkPlan(join(directory, plan)))]
}

/** Neither @ nor ~ can be part of a name. */
function isPlanOf(plan: string, name: string): boolean {
  return plan === name || plan.startsWith(`${name}@`) || plan.startsWith(`${name}~`)
}

function checkPlan(path: string): readonly Problem[] {
  try {
    const bytes = readRegular(path, MAX_SIZE, '')
    if (!isOfAnotherVersion(bytes)) decodePlan(bytes)
    return []
  } catch (error) {
    // Removed since it was listed: its container is planned for anew.
    if (hasCode(error, 'ENOENT')) return []
    if (error instanceof AppcError) return [problem('plan', path, error.because ?? error.message)]
    if (!(error instanceof Error && 'code' in error)) throw error
    return [problem('plan', path, `it cannot be read (${error.code})`)]
  }
}

/** Another appc has left it, and the next launch replaces it. Of a damaged one any byte may say so, but then it is not launched either. */
function isOfAnotherVersion(bytes: Buffer): boolean {
  if (bytes.length < HEADER.end || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return false
  return bytes.readUInt32LE(HEADER.version) !== VERSION
}
