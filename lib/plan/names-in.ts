import { readdirSync } from 'node:fs'
import { hasCode } from '../store/writing.js'
import { type Problem, problem } from '../upkeep/problems.js'

/**
 * Names in one of the store's directories of derived files, for whoever checks them. That one is not there, or not as it should be, is told
 * of the directory itself; but where the disk fails only who lists it can tell, and finding nothing there would pass for all being well.
 */
export function namesIn(directory: string): {
  readonly names: readonly string[]
  readonly problems: readonly Problem[]
} {
  try {
    return { names: readdirSync(directory), problems: [] }
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP')) return { names: [], problems: [] }
    if (!(error instanceof Error && 'code' in error)) throw error
    return { names: [], problems: [problem('directory', directory, `it cannot be listed (${error.code})`)] }
  }
}
