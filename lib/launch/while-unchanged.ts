import { AppcError } from '../errors.js'
import { Looks } from '../loader/looks.js'

const ATTEMPTS = 3

/**
 * Does what rests on a host that others may change meanwhile, and again when they did: a file that was replaced between two looks may
 * make of it any error, or an answer for a host that never was. `attempt` looks at the host through the looks that it is given; `isSettled`
 * says whether what came of it still holds. Throws PLAN_UNSTABLE when the host does not come to rest, and what `attempt` throws when
 * nothing changed.
 */
export function whileUnchanged<T>(attempt: (looks: Looks) => T, isSettled: (result: T, looks: Looks) => boolean): T {
  let failure: unknown
  for (let count = 0; count < ATTEMPTS; count++) {
    const looks = new Looks()
    failure = undefined
    try {
      const result = attempt(looks)
      if (isSettled(result, looks)) return result
    } catch (error) {
      if (!looks.haveChanged()) throw error
      failure = error
    }
  }
  throw new AppcError('PLAN_UNSTABLE', 'the host keeps changing while it is planned for', {
    ...(failure instanceof Error && { because: `the last time, ${failure.message}` }),
    hint: 'wait until the upgrade that is under way has finished, and try again',
    cause: failure,
  })
}
