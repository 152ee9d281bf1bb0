import { availableParallelism } from 'node:os'
import { relative } from 'node:path'
import t from 'tap'

/*
 * What scripts/test runs: test files, each in a process of its own, as many at a time as there are processors; tap's text goes to
 * standard output. `tap run` would do the same, but has every Node that is started below it load hooks which write down what it
 * loads, for a coverage that nobody asks for: half the time that a short test takes. What a test starts is left as it is.
 */
t.jobs = availableParallelism()
t.setTimeout(0)
const files = process.argv.slice(2)
t.plan(files.length)
for (const file of files) {
  // The first test that needs another distribution's tree waits for its packages to arrive.
  const seconds = Number(process.env.TAP_TIMEOUT ?? 300)
  const variables = ['--unset=NODE_OPTIONS', `TAP_TIMEOUT=${seconds}`]
  t.spawn('/usr/bin/env', [...variables, process.execPath, '--enable-source-maps', file], {
    name: relative(process.cwd(), file),
    buffered: t.jobs > 1,
    timeout: seconds * 1000,
    // Where a file that fails was started tells nothing.
    at: null,
    stack: '',
  })
}
