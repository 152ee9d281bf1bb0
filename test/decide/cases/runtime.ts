import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { library } from '../../container/tree.js'
import { dlopenNote } from '../../support/notes.js'
import {
  debian,
  inTree,
  launcher,
  libraries,
  mix,
  newStore,
  packInto,
  program,
  put,
  tree,
  withoutOthers,
} from '../scenario.js'
import { at, becoming, loading, printing } from './by-hand.js'

const SAY = 'int printf(const char *, ...);\n'
const DL = 'void *dlopen(const char *, int), *dlsym(void *, const char *); char *dlerror(void);\n'
const older = library('libone.so.1', 'int one(void) { return 1; }', 'ONE_1 { one; };')
const newer = library(
  'libone.so.1',
  'int one(void) { return 2; } int two(void) { return 2; }',
  'ONE_1 { one; }; ONE_2 { two; };',
)

t.test('case 34: static programs, static-PIE too, need nothing of a host', async t => {
  // With nothing that could be refused, there is nothing to show of the other choice.
  for (const flags of [['-static'], ['-static-pie', '-fPIE']]) {
    const app = program(`${SAY}int main(void) { return printf("static\\n") < 0; }`, {}, flags)
    const outcome = mix(tree({ '/usr/bin/app': app }), tree({ '/usr/bin/true': app }, {}))
    t.same([outcome.decision.libraries, outcome.problems()], [[], []])
    t.match(outcome.run(), { status: 0, stdout: 'static\n' })
  }
})

t.test('case 35: what a program says that it opens, by soname, as a bare .so and by a path', async t => {
  const feature = library('libfeature.so.2', 'int two(void); int feature(void) { return two(); }', '', {
    'libone.so.1': newer,
  })
  const path = '/usr/lib/app/libfeature.so'
  for (const name of ['libfeature.so.2', 'libfeature.so', path]) {
    const app = program(
      `${SAY}${DL}${dlopenNote(`[{"soname":["${name}"],"priority":"required"}]`)}
      int main(void) {
        void *opened = dlopen("${name}", 2);
        if (!opened) return printf("%s\\n", dlerror()) > 0;
        return printf("%d\\n", ((int (*)(void))dlsym(opened, "feature"))()) < 0;
      }`,
    )
    const files = name === path ? { [path]: feature } : at({ [name]: feature })
    const home = tree({ '/usr/bin/app': app, ...files, ...at({ 'libone.so.1': newer }) })
    t.match(inTree(home, '/usr/bin/app'), { status: 0, stdout: '2\n' })
    const host = tree({ ...files, ...at({ 'libone.so.1': older }) })
    const outcome = mix(home, host)
    t.same(outcome.problems(), [])
    t.ok(outcome.private.includes('libone.so.1'), name)
    t.match(withoutOthers(home, host), { status: 1, stdout: /libone\.so\.1: version `ONE_2' not found/ })
    t.match(outcome.run(), { status: 0, stdout: '2\n' })
  }
})

const core = (build: string, more = '') => {
  const libcore = library(
    'libcore.so.6',
    `int core(void) { return 1; } int inside_${build}(void) { return 5; } ${more}`,
    `CORE_1 { core; }; ${more && 'CORE_2 { newest; };'} CORE_PRIVATE { inside_${build}; };`,
  )
  const module = library('EUC.so', `int inside_${build}(void); int convert(void) { return inside_${build}(); }`, '', {
    'libcore.so.6': libcore,
  })
  return { libcore, module }
}

t.test('case 37: modules for character sets are of their C library’s build, and so is their cache', async t => {
  const directory = `${libraries}/gconv`
  const [ours, theirs] = [core('two', 'int newest(void) { return 9; }'), core('one')]
  const corePackage = ({ libcore, module }: typeof ours, version: string) => ({
    control: { Package: 'libcore6', Version: version },
    files: { ...at({ 'libcore.so.6': libcore }), [`${directory}/EUC.so`]: module },
  })
  const app = program(
    `${SAY}${DL}#include <unistd.h>
    int newest(void);
    int main(void) {
      void *module = dlopen("${directory}/EUC.so", 2);
      if (!module) return printf("%s\\n", dlerror()) > 0;
      printf("%d %s\\n", newest() + ((int (*)(void))dlsym(module, "convert"))(), access("${directory}/modules.cache", F_OK) ? "no cache" : "cache");
      return 0;
    }`,
    { 'libcore.so.6': ours.libcore },
  )
  const home = debian([
    corePackage(ours, '2.0'),
    { control: { Package: 'app', Depends: 'libcore6, libc6' }, files: { '/usr/bin/app': app } },
  ])
  const host = debian([corePackage(theirs, '1.0')])
  put(host, `${directory}/modules.cache`, 'of the host’s build')
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.problems()], [['libcore.so.6'], []])
  t.same(outcome.hidden(), [`${directory}/modules.cache`])
  t.match(
    withoutOthers(home, host, ['libcore.so.6']),
    { status: 1, stdout: /EUC\.so: undefined symbol: inside_one, version CORE_PRIVATE/ },
    'the C library without its modules',
  )
  t.match(outcome.run(), { status: 0, stdout: '14 no cache\n' })
})

/** A library that reads a file of its own build, which is made when its package is set up; what it finds is what `found` says. */
const reader = (build: number, path: string, otherwise: number, more = '') =>
  program(
    `#include <stdio.h>
    int found(void) {
      int build = 0;
      FILE *file = fopen("${path}", "r");
      if (!file) return ${otherwise};
      return fscanf(file, "%d", &build) == 1 && build == ${build} ? 1 : 0;
    } ${more}`,
    {},
    ['-shared', '-fPIC', '-Wl,-soname,libreader.so.1'],
  )

for (const [title, archive] of [
  ['case 38: a locale archive', '/usr/lib/locale-made/locale-archive'],
  ['case 39: a cache of loaders', '/usr/lib/loaders-made/loaders.cache'],
] as const) {
  t.test(`${title} that was made for the host’s build is hidden from the container’s`, async t => {
    const ours = reader(2, archive, 7, 'int newest(void) { return 0; }')
    const readerPackage = (version: string, file: Buffer) => ({
      control: { Package: 'libreader1', Version: version },
      files: { ...at({ 'libreader.so.1': file }), [`${dirname(archive)}/data`]: version },
    })
    const home = debian([
      readerPackage('2.0', ours),
      {
        control: { Package: 'app', Depends: 'libreader1, libc6' },
        files: { '/usr/bin/app': printing(['found', 'newest'], { 'libreader.so.1': ours }) },
      },
    ])
    const host = debian([readerPackage('1.0', reader(1, archive, 7))])
    put(host, archive, '1')
    const outcome = mix(home, host)
    t.same([outcome.private, outcome.hidden(), outcome.problems()], [['libreader.so.1'], [archive], []])
    t.match(withoutOthers(home, host, ['libreader.so.1']), { status: 0, stdout: '0\n' }, 'misread')
    t.match(outcome.run(), { status: 0, stdout: '7\n' }, 'as where none was made')
  })
}

t.test(
  'case 42: bits for another user or group are not packed: nothing runs in secure mode for their sake',
  async t => {
    // So there is no other choice of libraries to be refused. The loader's own rules are in test/loader/cases/secure.ts.
    const app = program(
      `${SAY}unsigned long getauxval(unsigned long); int main(void) { return printf("%lu\\n", getauxval(23)) < 0; }`,
    )
    const home = tree({ '/usr/bin/app': app })
    chmodSync(join(home, '/usr/bin/app'), 0o6755)
    const outcome = mix(home, tree({}))
    t.match(outcome.decision.placement.get('/usr/bin/app'), { file: { mode: 0o755 } })
    t.match(outcome.run(), { status: 0, stdout: '0\n' })
  },
)

t.test('case 46: a library that is renamed over while it is covered stays covered', async t => {
  const host = tree({
    '/usr/bin/tool': printing(['one'], { 'libone.so.1': older }),
    ...at({ 'libone.so.1': older }),
  })
  const waits = program(
    `${SAY}int fflush(void *), getchar(void), execv(const char *, char **), one(void), two(void);
    int main(int argc, char **argv) {
      printf("app %d\\n", one() + two());
      fflush(0);
      getchar();
      return argc < 2 ? 0 : execv(argv[1], argv + 1);
    }`,
    { 'libone.so.1': newer },
  )
  const store = newStore()
  packInto(store, tree({ '/usr/bin/app': waits, ...at({ 'libone.so.1': newer }) }))
  const path = join(host, libraries, 'libone.so.1')
  /** As dpkg does it: a new file beside, renamed over the old one. */
  const upgrade = (answer: number) => {
    const upgraded = library('libone.so.1', `int one(void) { return ${answer}; }`, 'ONE_1 { one; };')
    renameSync(put(host, `${libraries}/libone.so.1.dpkg-new`, upgraded), path)
  }
  const during = async (command: string, args: readonly string[], change: () => void) => {
    const env = { PATH: `${dirname(process.execPath)}:/usr/sbin:/usr/bin:/bin`, APPC_HOME: store.home }
    const child = spawn(command, args, { cwd: '/', env, stdio: ['pipe', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', text => {
      said += text
    })
    await once(child.stdout, 'data')
    change()
    child.stdin.end('\n')
    await once(child, 'close')
    return said
  }
  const run = () => during(launcher, ['--root', host, 'app', '/usr/bin/tool'], () => upgrade(50))
  t.equal(await run(), 'app 4\n2\n', 'the program that starts after the upgrade')
  t.match(inTree(host, '/usr/bin/tool'), { status: 0, stdout: '50\n' }, 'outside')
  t.equal(await run(), 'app 4\n2\n', 'the next launch')

  // The other way to lay one file over another loses it.
  const own = put(host, '/trial/libone.so.1', newer)
  const script = 'mount --bind "$0" "$1" && echo bound && read -r _ && exec chroot "$2" /usr/bin/tool'
  const bound = ['--map-root-user', '--mount', 'sh', '-c', script, own, path, host]
  t.equal(await during('unshare', bound, () => {}), 'bound\n2\n')
  t.equal(await during('unshare', bound, () => upgrade(60)), 'bound\n60\n')
})

t.test('case 44: static TLS that does not fit is refused inside as outside', async t => {
  // How much is left is the process's own affair at the time of its dlopen(), so no copy is taken for it.
  const big = library(
    'libtls.so.1',
    '__thread char block[100000] __attribute__((tls_model("initial-exec"))); char *tls(void) { return block; }',
  )
  const home = tree({ '/usr/bin/app': becoming('one', { 'libone.so.1': newer }), ...at({ 'libone.so.1': newer }) })
  const host = tree({ '/usr/bin/load': loading(), ...at({ 'libtls.so.1': big }) })
  const outcome = mix(home, host)
  const refused = { status: 1, stdout: /libtls\.so\.1: cannot allocate memory in static TLS block/ }
  t.match(inTree(host, '/usr/bin/load', {}, ['libtls.so.1']), refused)
  t.match(outcome.run('/usr/bin/load', 'libtls.so.1'), refused)
})
