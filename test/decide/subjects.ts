import t from 'tap'
import { library } from '../container/tree.js'
import { debian, libraries, mix, program, shipping } from './scenario.js'

/** What is kept from one mix to the next must not outlive what it rests on. */
const libx = library('libx.so.1', 'int f(void) { return 1; }')
const liby = (more = '') => library('liby.so.1', `int y(void) { return 1; } ${more}`)
const newer = liby('int y2(void) { return 2; }')

const printing = (name: string, linked: Readonly<Record<string, Buffer>>, flags: readonly string[] = []) =>
  program(
    `int printf(const char *, ...), ${name}(void); int main(void) { return printf("%d\\n", ${name}()) < 0; }`,
    linked,
    flags,
  )

for (const [what, runpath] of [
  ['the directory', '/opt/d'],
  ['a directory above', '/opt/d/sub'],
] as const) {
  t.test(`a file that comes over ${what} in which a library was found`, async t => {
    const home = debian([
      shipping('libx1', '1.0', { [`${libraries}/libx.so.1`]: libx }),
      shipping('liby1', '2.0', { [`${libraries}/liby.so.1`]: newer, '/opt/d': 'data' }),
      shipping(
        'app',
        '1.0',
        {
          '/usr/bin/app': printing('f', { 'libx.so.1': libx }, [`-Wl,-rpath,${runpath},--enable-new-dtags`]),
          // It is looked at after the other, and makes liby and its package private.
          '/usr/bin/other': printing('y2', { 'liby.so.1': newer }),
        },
        'libx1, liby1',
      ),
    ])
    const host = debian([
      shipping('libx1', '1.0', { [`${libraries}/libx.so.1`]: libx }),
      shipping('liby1', '1.0', { [`${libraries}/liby.so.1`]: liby() }),
      shipping('vendor', '1', { [`${runpath}/libx.so.1`]: libx }),
    ])
    const outcome = mix(home, host, ['app', 'other'])
    t.same([outcome.private, outcome.problems()], [['liby.so.1'], []])
    const found = outcome.decision.libraries.find(({ soname }) => soname === 'libx.so.1')
    t.match(found, { choice: 'shared', path: /^(\/usr)?\/lib\// })
    t.match(outcome.run(), { status: 0, stdout: '1\n' })
  })
}
