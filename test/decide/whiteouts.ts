import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { library } from '../container/tree.js'
import { debian, libraries, mix, program, put, shipping } from './scenario.js'

const liby = (more = '') => library('liby.so.1', `int y(void) { return 1; } ${more}`)
const newer = liby('int y2(void) { return 2; }')
t.test('a directory that nobody ships, and in which the container has something, stays', async t => {
  const app = program(
    `int printf(const char *, ...), y2(void), access(const char *, int);
    int main(void) { return printf("%d %d\\n", y2(), access("/usr/share/yy/plug/new", 4)) < 0; }`,
    { 'liby.so.1': newer },
  )
  const home = debian([
    shipping('liby1', '2.0', {
      [`${libraries}/liby.so.1`]: newer,
      '/usr/share/yy/data': '2',
      '/usr/share/yy/plug/new': 'new',
    }),
    shipping('app', '1.0', { '/usr/bin/app': app }, 'liby1'),
  ])
  const host = debian([
    shipping('liby1', '1.0', { [`${libraries}/liby.so.1`]: liby(), '/usr/share/yy/data': '1' }),
    shipping('base', '1', { '/usr/bin/x': 'x', '/usr/share/z': 'z' }),
  ])
  put(host, '/usr/share/yy/plug/mine', 'mine')
  put(host, '/usr/share/yy/made', 'made of 1.0')
  const outcome = mix(home, host)
  t.same([outcome.hidden(), outcome.problems()], [['/usr/share/yy/made'], []])
  t.match(outcome.run(), { status: 0, stdout: '2 0\n' })
})

t.test('what lies unowned in everybody’s directories was made of no package', async t => {
  const app = program('int puts(const char *); int main(void) { return puts("app") < 0; }')
  const home = debian([shipping('app', '1.0', { '/usr/bin/app': app })])
  const status = join(home, 'var/lib/dpkg/status')
  const text = readFileSync(status, 'utf8')
  // The same bytes under a newer version, which the application asks for.
  writeFileSync(
    status,
    text.replace('Version: 2.36-9', 'Version: 2.38-9').replace('Depends: libc6', 'Depends: libc6 (>= 2.38)'),
  )
  const outcome = mix(home, debian([]))
  t.ok(outcome.packages().includes('libc6'))
  t.same(outcome.problems(), [])
  t.notOk(outcome.hidden().some(path => ['/usr/bin', '/usr/sbin', '/usr/lib'].includes(path)))
  t.match(outcome.run(), { status: 0, stdout: 'app\n' })
})

t.test('a link that stands where packages have a directory is everybody’s: /lib of a merged root', async t => {
  const app = program(
    'int puts(const char *), y2(void); int main(void) { return puts(y2() == 2 ? "app" : "?") < 0; }',
    {
      'liby.so.1': newer,
    },
  )
  const home = debian([
    shipping('liby1', '2.0', { [`${libraries}/liby.so.1`]: newer }),
    shipping('app', '1.0', { '/usr/bin/app': app }, 'liby1'),
  ])
  const host = debian([
    shipping('liby1', '1.0', { [`${libraries}/liby.so.1`]: liby() }),
    shipping('base', '1', { '/lib/base/file': 'x' }),
  ])
  // As Debian's libunwind8 lists it, with nothing in it.
  for (const name of ['liby1:amd64', 'liby1'])
    if (existsSync(join(host, `var/lib/dpkg/info/${name}.list`)))
      appendFileSync(join(host, `var/lib/dpkg/info/${name}.list`), '/lib\n')
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.hidden(), outcome.problems()], [['liby.so.1'], [], []])
  t.match(outcome.run(), { status: 0, stdout: 'app\n' })
})
