import { spawnSync } from 'node:child_process'
import { dirname } from 'node:path'
import t from 'tap'
import { fresh, launcher, newStore, program, put } from '../decide/scenario.js'

/** A line of shell, which can say any bytes, in which "$1" is appc-run. */
function inShell(directory: string, home: string, line: string) {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', line, 'sh', launcher], {
    cwd: directory,
    encoding: 'utf8',
    env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, APPC_HOME: home },
  })
  return { status, stdout, stderr }
}

t.test('a path that is not UTF-8 is refused for what it is, whatever it is for', async t => {
  const directory = fresh()
  const { home } = newStore()
  put(directory, '/prog', program('int main(void) { return 7; }'))
  const run = (line: string) => inShell(directory, home, `b=$(printf 'd\\377'); mkdir -p "$b"; cp prog "$b"; ${line}`)
  const lines = [
    '"$1" "./$b/prog"',
    '"$1" --lib "./$b" ./prog',
    '"$1" --root "./$b" ./prog',
    'APPC_HOME="$PWD/$b/store" "$1" ./prog',
  ]
  for (const line of lines)
    t.match(
      run(line),
      {
        status: 125,
        stdout: '',
        stderr: /^appc-run: \S*\/d\\xff\S* cannot be used: the path is not UTF-8\n\nhint: rename [^\n]+\n$/,
      },
      line,
    )
  t.match(run('"$1" ./prog "$b"'), { status: 7, stderr: '' }, 'arguments may be anything')
})
