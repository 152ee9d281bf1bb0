import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { library } from '../container/tree.js'
import { debian, libraries, program } from '../decide/scenario.js'
import type { DebianPackage } from '../host/debian.js'
import { compile } from '../support/fixtures.js'
import { forEachPerson } from '../support/site.js'

/** It opens a library, data and a file of the user's, starts another program, and says what it got; and it leaves a file behind. */
const APP = `
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char line[64] = "";
  void *plugin = dlopen("libplugin.so.1", RTLD_NOW);
  int (*answer)(void) = plugin ? (int (*)(void))dlsym(plugin, "answer") : 0;
  FILE *data = fopen("/usr/share/app-data/table", "r");
  if (argc > 2) fopen(argv[2], "w");
  fprintf(stderr, "plugin %d, data %s, ", answer ? answer() : 0, data ? "yes" : "no");
  fprintf(stderr, "helper %d\\n", system("helper"));
  fprintf(stderr, "input %s\\n", fgets(line, sizeof line, stdin) ? line : "none");
  if (argc > 1 && strcmp(argv[1], "abort") == 0) abort();
  return argc > 1 ? atoi(argv[1]) : 0;
}
`
const plugin = library('libplugin.so.1', 'int answer(void) { return 42; }')
const APP_PACKAGE = { control: { Package: 'app' }, files: { '/usr/bin/app': program(APP) } }
const OTHERS = [
  { control: { Package: 'libplugin1' }, files: { [`${libraries}/libplugin.so.1`]: plugin } },
  { control: { Package: 'app-data' }, files: { '/usr/share/app-data/table': 'x' } },
  { control: { Package: 'helper' }, files: { '/usr/bin/helper': program('int main(void) { return 3; }') } },
]
/** system(3) starts it; every host has it. */
const SHELL = {
  control: { Package: 'dash', Essential: 'yes' },
  files: {
    '/usr/bin/sh': program(`
  #include <unistd.h>
  int main(int argc, char **argv) { return execlp(argv[argc - 1], argv[argc - 1], (char *)0); }
`),
  },
}

/** Where users without privileges can look into it. */
function makeTree(packages: readonly DebianPackage[]): string {
  const tree = debian([SHELL, ...packages])
  chmodSync(dirname(tree), 0o755)
  return tree
}

interface Packed {
  readonly packages: readonly { readonly name: string; readonly own: boolean }[]
  readonly recorded: { readonly status: number | null; readonly signal: string | null; readonly packages: string[] }
}

forEachPerson((who, makeSite) =>
  t.test(who, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const tree = makeTree([APP_PACKAGE, ...OTHERS])
    const host = makeTree([])
    const pack = (name: string, ...args: readonly string[]) =>
      site.appc('pack', '--json', '--name', name, '--root', tree, 'app', '--record', '--', ...args)

    const ran = await pack('app', 'app')
    t.equal(ran.status, 0, ran.stderr)
    t.equal(ran.stderr, 'plugin 42, data yes, helper 768\ninput none\n', "the program's streams are the user's")
    const { packages, recorded } = JSON.parse(ran.stdout) as Packed
    t.same(recorded, { status: 0, signal: null, files: 4, packages: ['app', 'app-data', 'helper', 'libplugin1'] })
    t.same(
      packages.map(({ name, own }) => (own ? `${name}*` : name)),
      ['app*', 'app-data', 'helper', 'libc6', 'libplugin1'],
    )

    const inside = await site.run(['--root', host, 'app'])
    t.match(
      inside,
      { status: 0, stderr: 'plugin 42, data yes, helper 768\ninput none\n' },
      'on a host that has none of it',
    )
    const { status } = await site.appc('pack', '--name', 'plain', '--root', tree, 'app')
    t.equal(status, 0)
    t.match(
      await site.run(['--root', host, 'plain']),
      { stderr: /^plugin 0, data no, helper / },
      'nor without a record',
    )

    const input = 'typed\n'
    const arguments_ = [
      'pack',
      '--name',
      'failed',
      '--root',
      tree,
      'app',
      '--record',
      '--',
      '/usr/bin/app',
      '9',
      'left',
    ]
    const failed = await site.command(process.execPath, [site.cli, ...arguments_], { input })
    t.equal(failed.status, 0)
    t.match(failed.stderr, /input typed\n/)
    t.match(failed.stderr, /^appc: \/usr\/bin\/app ended with status 9; what it had opened by then is packed$/m)
    t.match(failed.stdout, /^recorded: 4 files \(of app, app-data, helper, libplugin1\)$/m)
    const aborted = await pack('aborted', 'app', 'abort')
    t.match(JSON.parse(aborted.stdout), { recorded: { status: null, signal: 'SIGABRT' } })

    for (const [command, code] of [
      ['nothing', 'FILE_MISSING'],
      ['/usr/bin/nothing', 'RECORD_FAILED'],
    ] as const) {
      const { status, stdout, stderr } = await pack('none', command)
      t.same([status, stdout], [code === 'FILE_MISSING' ? 1 : 125, ''], command)
      t.match(JSON.parse(stderr.trimEnd().split('\n').at(-1) as string), { schema: 'appc.error/1', code })
    }
    t.notMatch(await site.appc('list'), { stdout: /none/ })
  }),
)

forEachPerson((who, makeSite) =>
  t.test(`on this machine, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    mkdirSync(join(site.home, 'bin'))
    const own = compile(site.home, 'bin/own', 'int main(void) { return 0; }')
    writeFileSync(join(site.home, 'mine'), 'x')
    const script = join(site.home, 'script')
    writeFileSync(script, `#!/bin/sh\ncat mine /etc/hostname >/dev/null\n${own}\nexec python3 -c 'import json'\n`, {
      mode: 0o755,
    })
    const ran = await site.appc('pack', '--json', '--name', 'cat', 'cat', '--record', '--', './script')
    t.equal(ran.status, 0, ran.stderr)
    const { packages, recorded } = JSON.parse(ran.stdout) as Packed
    t.match(recorded, { status: 0, signal: null })
    const names = packages.map(({ name }) => name)
    t.ok(
      names.some(name => /^libpython3\.\d+-stdlib$/.test(name)),
      'the package of what was imported',
    )
    t.ok(recorded.packages.every(name => names.includes(name)))

    const missing = await site.command(
      process.execPath,
      [site.cli, 'pack', '--name', 'x', 'cat', '--record', '--', '/bin/cat'],
      {
        env: { PATH: site.home },
      },
    )
    t.match(missing, {
      status: 125,
      stdout: '',
      stderr: /^appc: strace cannot be started.*: it is not in PATH\n\nhint: install it/,
    })
    const nothing = await site.appc('pack', '--name', 'x', 'cat', '--record', '--', './mine')
    t.match(nothing, { status: 1, stderr: /^appc: there is no program \.\/mine to record: the path leads to no file/ })
  }),
)
