import { utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { whileUnchanged } from '../../lib/launch/while-unchanged.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import { temporaryDirectory } from '../support/fixtures.js'

/** What comes of looking at a file, of which the first `changes` looks are followed by a change, and then by `act`. */
function look(changes: number, act: (count: number) => string): { result: () => string; count: () => number } {
  const root = temporaryDirectory()
  writeFileSync(join(root, 'file'), '')
  let count = 0
  const attempt = () =>
    whileUnchanged(
      looks => {
        looks.through(rootFileSystem(root)).lstat('/file')
        if (++count <= changes) utimesSync(join(root, 'file'), count, count)
        return act(count)
      },
      (_, looks) => !looks.haveChanged(['/file']),
    )
  return { result: attempt, count: () => count }
}

t.test('an answer counts when nothing changed', async t => {
  for (const changes of [0, 1, 2]) {
    const { result, count } = look(changes, count => `answer ${count}`)
    t.equal(result(), `answer ${changes + 1}`)
    t.equal(count(), changes + 1)
  }
  const { result, count } = look(3, () => 'answer')
  t.throws(result, { code: 'PLAN_UNSTABLE', because: null })
  t.equal(count(), 3)
})

t.test('and so does an error', async t => {
  const failing = (count: number): string => {
    throw new Error(`error ${count}`)
  }
  for (const changes of [0, 1, 2]) t.throws(look(changes, failing).result, { message: `error ${changes + 1}` })
  t.throws(look(3, failing).result, { code: 'PLAN_UNSTABLE', because: 'the last time, error 3' })
  const failingOnce = look(1, count => (count === 1 ? failing(count) : 'answer'))
  t.equal(failingOnce.result(), 'answer')
})
