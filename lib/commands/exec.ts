import { AppcError } from '../errors.js'
import { allArguments } from '../launch/addon.js'
import { executeIn } from '../launch/execute-in.js'
import { openStore } from '../launch/open-store.js'
import { findRunning, requireOne } from '../launch/running.js'
import { reportError } from './report.js'

/**
 * `appc exec`: this process becomes the command, so that signals, terminal and exit status are the command's. What fails before ends it
 * with 125, as a launch.
 */
export function runExec(designation: string, words: readonly string[], { json }: { readonly json: boolean }): number {
  try {
    const store = openStore(process.env)
    const container = requireOne(findRunning(store), designation)
    const command = words[0] === '--' ? words.slice(1) : words
    if (command.length === 0) throw new AppcError('USAGE', 'no command was given')
    // The last words as they were typed: Node has decoded them.
    return executeIn(store, container, allArguments().slice(-command.length))
  } catch (error) {
    reportError('appc', error, json)
    return 125
  }
}
