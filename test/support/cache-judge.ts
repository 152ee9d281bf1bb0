import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { addon } from '../../lib/launch/addon.js'
import { resolveGraph } from '../../lib/loader/resolve.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import { compile, temporaryDirectory } from './fixtures.js'
import { asTraced, parseTrace, type Traced, withoutIdleLoader } from './oracle.js'

/** Names that sort differently as text and by number, beyond 32 bits and ASCII, and some that are equal as numbers. */
export const NAMES = [
  ...Array.from({ length: 19 }, (_, index) => `libn${index}.so.${index % 7}`),
  'libn007.so.0',
  'libn4294967299.so.3',
  'libn2147483647.so',
  'libn2147483649.so',
  'libn3000000000.so',
  'libé.so',
  'libz.so',
  'lib.so',
]
const VARIANTS = ['x86-64-v2', 'x86-64-v3', 'x86-64-v4']
const INTERPRETER = '/lib64/interpreter.so'

/**
 * Enters a root, and for each cache in /caches has its loader tell what a program would load with it: a process takes a
 * millisecond. After each answer stands a line with the number and how the loader ended; no answer may take two seconds.
 */
const ASKER = `
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
  (void)argc;
  if (chroot(argv[1]) != 0 || chdir("/") != 0) return 1;
  char *args[] = {argv[2], argv[3], NULL}, *environment[] = {"LD_TRACE_LOADED_OBJECTS=1", NULL};
  for (int i = 0, status = 0; i < atoi(argv[4]); i++) {
    char path[64];
    snprintf(path, sizeof path, "/caches/%d", i);
    if (rename(path, "/etc/ld.so.cache") != 0) return 1;
    pid_t child = fork();
    if (child == 0) {
      alarm(2);
      execve(argv[2], args, environment);
      _exit(126);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) return 1;
    printf("== %d %d\\n", i, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    fflush(stdout);
  }
  return 0;
}`

/** What a loader and appc say with one cache; `died` where the loader did, which makes any answer right. */
export interface Verdict {
  readonly died: boolean
  readonly loader: readonly Traced[] | 'refused'
  readonly appc: readonly Traced[] | 'refused'
}

/** A small root with a loader, and libraries in directories that only its cache knows. */
export class CacheJudge {
  readonly #root = temporaryDirectory()
  readonly #asker = compile(this.#root, 'asker', ASKER)

  constructor(loader: string) {
    for (const directory of ['etc', 'lib64', 'opt', 'caches']) mkdirSync(join(this.#root, directory))
    // Under its own file name, which tells the version of an old one.
    const file = `lib64/${basename(realpathSync(loader))}`
    copyFileSync(loader, join(this.#root, file))
    symlinkSync(`/${file}`, join(this.#root, INTERPRETER))
    writeFileSync(join(this.#root, 'etc/ld.so.conf'), '/opt/one\n/opt/two\n')
    this.#compile('opt/library', ['-shared'])
    for (const [index, name] of NAMES.entries()) {
      this.#put(name, 'opt/one')
      const variant = VARIANTS[index % 5]
      if (variant !== undefined) this.#put(name, `opt/two/glibc-hwcaps/${variant}`)
      if (index % 4 === 0) this.#put(name, 'opt/two')
    }
    const libraries = ['-Lopt/one', ...NAMES.map(name => `-l:${name}`)]
    this.#compile('program', ['-pie', '-Wl,--no-as-needed', `-Wl,--dynamic-linker=${INTERPRETER}`, ...libraries])
  }

  /** What this machine's ldconfig makes of the root. */
  cache(format: 'new' | 'compat' | 'old'): Buffer {
    execFileSync('/sbin/ldconfig', ['-r', this.#root, '-X', '-c', format])
    return readFileSync(join(this.#root, 'etc/ld.so.cache'))
  }

  ask(caches: readonly Buffer[]): Verdict[] {
    for (const [index, bytes] of caches.entries()) writeFileSync(join(this.#root, `caches/${index}`), bytes)
    const run = spawnSync(
      'unshare',
      ['--map-root-user', this.#asker, this.#root, INTERPRETER, '/program', `${caches.length}`],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 28 },
    )
    const answers = [...run.stdout.matchAll(/(.*?)^== \d+ (-?\d+)\n/gms)]
    if (answers.length !== caches.length) throw new Error(`${answers.length} answers to ${caches.length} caches`)
    return caches.map((bytes, index) => {
      const [, output = '', status] = answers[index] ?? []
      return this.#compare(bytes, output, Number(status))
    })
  }

  #compare(bytes: Buffer, output: string, status: number): Verdict {
    writeFileSync(join(this.#root, 'etc/ld.so.cache'), bytes)
    const context = { cpuLevel: addon().cpuLevel(), libraryPath: [], preload: [], workingDirectory: '/' }
    const graph = resolveGraph(rootFileSystem(this.#root), '/program', context)
    rmSync(join(this.#root, 'etc/ld.so.cache'))
    return {
      died: status < 0,
      loader: status === 0 ? byName(withoutIdleLoader(parseTrace(output).map(absolute), graph)) : 'refused',
      appc: graph.problems.some(({ kind }) => kind === 'unusable') ? 'refused' : byName(asTraced(graph)),
    }
  }

  #compile(name: string, flags: readonly string[]): void {
    compile(this.#root, name, 'void _start(void) {}', ['-fPIC', '-nostdlib', ...flags])
  }

  /** One file of its own for each: the loader takes two names of one file for one object. */
  #put(name: string, directory: string): void {
    mkdirSync(join(this.#root, directory), { recursive: true })
    copyFileSync(join(this.#root, 'opt/library'), join(this.#root, directory, name))
  }
}

/** A relative path is told by the loader as it stands in the cache; it was started in the root's root. */
function absolute({ name, path }: Traced): Traced {
  return { name, path: path === null || path.startsWith('/') ? path : `/${path}` }
}

/** The loader keeps a place in the order for what is missing; here it is which name leads where that counts. */
function byName(traced: readonly Traced[]): Traced[] {
  return [...traced].sort((a, b) => (a.name < b.name ? -1 : 1))
}
