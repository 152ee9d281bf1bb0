import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { temporaryDirectory } from '../support/fixtures.js'
import { roots } from '../support/roots.js'
import { forEachPerson } from '../support/site.js'

/** strlcpy is in glibc since 2.38. It shows what it was given, and ends as it is told to. */
const C = `
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
  char line[64], copy[64];
  for (int i = 0; i < argc; i++) printf("[%s]", argv[i]);
  if (fgets(line, sizeof line, stdin) && strlcpy(copy, line, sizeof copy)) printf("<%s>", copy);
  puts("");
  fflush(stdout);
  if (argc > 2 && strcmp(argv[1], "signal") == 0) raise(atoi(argv[2]));
  return argc > 2 && strcmp(argv[1], "exit") == 0 ? atoi(argv[2]) : 0;
}
`

/** The list of time zones is in libstdc++ since GCC 13: GLIBCXX_3.4.31, where Debian 12 ends at 3.4.30. */
const CXX = `
#include <chrono>
#include <iostream>
#include <stdexcept>
int main(int argc, char**) {
  try {
    if (argc > 1) std::cout << std::chrono::locate_zone("Nowhere/None")->name() << std::endl;
    std::cout << "fine" << std::endl;
  } catch (const std::runtime_error&) {
    std::cout << "caught" << std::endl;
  }
}
`

const LIBRARY = 'int answer(void) { return 42; }'
const USER = '#include <stdio.h>\nint answer(void);\nint main(void) { printf("%d\\n", answer()); }'

/** What the tree's compilers make of the sources: the same for everybody. */
let made: string | undefined

function compileAll(tree: string): string {
  if (made !== undefined) return made
  made = temporaryDirectory()
  mkdirSync(join(made, 'lib'))
  const sources = { 'c.c': C, 'cxx.cpp': CXX, 'library.c': LIBRARY, 'user.c': USER }
  for (const [name, source] of Object.entries(sources)) writeFileSync(join(made, name), source)
  const shared = ['-shared', '-fPIC', '-Wl,-soname,libanswer.so']
  compileInside(tree, made, 'gcc', '-o', 'c', 'c.c')
  compileInside(tree, made, 'g++', '-std=c++20', '-o', 'cxx', 'cxx.cpp')
  compileInside(tree, made, 'gcc', ...shared, '-o', 'lib/libanswer.so', 'library.c')
  compileInside(tree, made, 'gcc', '-o', 'user', 'user.c', 'lib/libanswer.so')
  return made
}

/** Runs a compiler of the tree, in it, on the files of `directory`. */
function compileInside(tree: string, directory: string, compiler: string, ...args: readonly string[]): void {
  const script = 'mount --bind "$1" "$0/tmp" && shift && exec chroot "$0" sh -c \'cd /tmp && exec "$@"\' sh "$@"'
  execFileSync('unshare', ['--map-root-user', '--mount', 'sh', '-c', script, tree, directory, compiler, ...args], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

forEachPerson((who, makeSite) =>
  t.test(`programs compiled on Debian 13, ${who}`, async t => {
    const tree = roots.trixieCompiler()
    const site = makeSite()
    t.teardown(() => site.remove())
    const work = join(site.directory, 'work')
    cpSync(compileAll(tree), work, { recursive: true })
    chmodSync(work, 0o755)
    mkdirSync(join(work, 'a b:c,d'))
    copyFileSync(join(work, 'c'), join(work, 'a b:c,d/c'))
    writeFileSync(join(work, 'script'), `#!${work}/c from the first line\n`, { mode: 0o755 })
    const lib = join(tree, 'usr/lib/x86_64-linux-gnu')
    const run = (args: readonly string[], options = {}) => site.run(['--lib', lib, ...args], { cwd: work, ...options })

    t.test('this host refuses each', async t => {
      const c = await site.command('./c', [], { cwd: work })
      t.match(c, { status: 1, stderr: /version `GLIBC_2\.38' not found \(required by \.\/c\)/ })
      const cxx = await site.command('./cxx', [], { cwd: work })
      t.match(cxx, { status: 1, stderr: /version `GLIBCXX_3\.4\.3[1-9]' not found \(required by \.\/cxx\)/ })
    })

    t.test('arguments, input and status are the program’s', async t => {
      const input = 'from standard input'
      const whole = { status: 0, stdout: '[./c][--lib][two words][]<from standard input>\n', stderr: '' }
      t.match(await run(['./c', '--lib', 'two words', ''], { input }), whole)
      t.match(await run(['./c', '--lib', 'two words', ''], { input }), whole, 'a second time')
      t.match(await run(['./c', 'exit', '42']), { status: 42, stdout: '[./c][exit][42]\n' })
      t.match(await run(['./c', 'signal', '6']), { status: null, signal: 'SIGABRT', stdout: '[./c][signal][6]\n' })
      const shell = await site.command('/bin/sh', [
        '-c',
        '"$@"; echo $?',
        'sh',
        site.launcher,
        '--lib',
        lib,
        `${work}/c`,
        'signal',
        '15',
      ])
      t.match(shell.stdout, /^\[.*\/c\]\[signal\]\[15\]\n143\n$/)
    })

    t.test('C++, with exceptions through the private libstdc++', async t => {
      t.match(await run(['./cxx']), { status: 0, stdout: 'fine\n', stderr: '' })
      t.match(await run(['./cxx', 'throw']), { status: 0, stdout: 'caught\n', stderr: '' })
    })

    t.test('every way to write the path', async t => {
      t.match(await run([join(work, 'c')]), { status: 0, stdout: `[${work}/c]\n` })
      t.match(await run(['../c'], { cwd: join(work, 'lib') }), { status: 0, stdout: '[../c]\n' })
      t.match(await run(['./c'], { cwd: join(work, 'a b:c,d') }), { status: 0, stdout: '[./c]\n', stderr: '' })
      t.match(await run(['./a b:c,d/c']), { status: 0, stdout: '[./a b:c,d/c]\n', stderr: '' })
    })

    t.test('a script, whose interpreter it is that needs libraries', async t => {
      t.equal((await site.command('./script', [], { cwd: work })).status, 1)
      const ran = await run(['./script', 'more'])
      t.match(ran, { status: 0, stdout: `[${work}/c][from the first line][./script][more]\n`, stderr: '' })
    })

    t.test('several directories of candidates; one that lies in a directory with odd characters', async t => {
      const odd = join(work, 'a b:c,d')
      copyFileSync(join(work, 'lib/libanswer.so'), join(odd, 'libanswer.so'))
      t.match(await run(['--lib', 'lib', './user']), { status: 0, stdout: '42\n', stderr: '' })
      t.match(await run([`--lib=${odd}`, './user']), { status: 0, stdout: '42\n', stderr: '' })
    })

    t.test('directories of the search that cannot be looked at are passed over, as long as they cannot', async t => {
      const [locked, circle] = [join(work, 'locked'), join(work, 'circle')]
      mkdirSync(locked)
      symlinkSync('circle', circle)
      writeFileSync(join(work, 'other.c'), LIBRARY.replace('42', '43'))
      execFileSync('gcc', ['-shared', '-fPIC', '-o', join(locked, 'libanswer.so'), join(work, 'other.c')])
      const env = { LD_LIBRARY_PATH: [circle, `/${'x'.repeat(300)}`, `/${'x/'.repeat(2500)}`, locked].join(':') }
      const answer = async () => {
        const ran = await run(['--lib', 'lib', './user'], { env })
        t.match(ran, { status: 0, stderr: '' })
        return ran.stdout
      }
      chmodSync(locked, 0o000)
      const mayLook = site.user.uid === 0
      for (const time of ['the first time', 'with a plan']) t.equal(await answer(), mayLook ? '43\n' : '42\n', time)
      chmodSync(locked, 0o755)
      t.equal(await answer(), '43\n', 'now it can be looked at')
    })

    t.test('what cannot run', async t => {
      writeFileSync(join(work, 'plain'), 'text\n')
      chmodSync(join(work, 'plain'), 0o644)
      writeFileSync(join(work, 'lost'), '#!/nonexistent/interpreter\n', { mode: 0o755 })
      const before = site.listing()
      t.match(await run(['./nothing']), {
        status: 127,
        stdout: '',
        stderr: /^appc-run: no such program: \.\/nothing: /,
      })
      t.match(await run(['./plain']), { status: 126, stdout: '', stderr: /^appc-run: .*plain.*\n/ })
      t.match(await run(['./lost']), { status: 126, stdout: '', stderr: /^appc-run: .*interpreter.*\n/ })
      t.match(await run(['./lib']), { status: 126, stdout: '', stderr: /^appc-run: .*\n/ })
      const missing = await run(['./user'])
      t.match(missing, { status: 125, stdout: '', stderr: /^appc-run: .*libanswer\.so.*\n\nhint: .+\n$/ })
      t.match(await run(['--lib', 'nowhere', './c']), {
        status: 125,
        stdout: '',
        stderr: /nowhere: No such file or directory/,
      })
      t.same(site.listing(), before)
    })
  }),
)
