import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { compile } from '../support/fixtures.js'
import { LIBRARIES, makeSmallTree, upgrade } from '../support/small-tree.js'

/** Says what its library, its module, its file and a setting say; with an argument, what another module says once it has got a line. */
const PROGRAM = `
  #include <dlfcn.h>
  #include <stdio.h>
  const char *loaded(void);
  static const char *plugged(const char *path) {
    void *module = dlopen(path, RTLD_NOW);
    const char *(*say)(void) = module ? (const char *(*)(void))dlsym(module, "say") : 0;
    return say ? say() : dlerror();
  }
  static const char *first(const char *path, char *line, int size) {
    FILE *file = fopen(path, "r");
    return file && fgets(line, size, file) ? line : "none";
  }
  int main(int argc, char **argv) {
    char data[100], setting[100], line[100];
    printf("%s %s %s %s\\n", loaded(), plugged("/usr/lib/together/plugin.so"),
      first("/usr/share/together/data", data, sizeof data), first("/etc/together/setting", setting, sizeof setting));
    fflush(stdout);
    if (argc > 1 && fgets(line, sizeof line, stdin)) puts(plugged("/usr/lib/together/late.so"));
    return 0;
  }`

export const INCLUDED = ['/usr/lib/together/plugin.so', '/usr/lib/together/late.so', '/usr/share/together']

/** A tree in which all that the program tells of is this version's. */
export function makeVersion(tree: string, version: string): void {
  makeSmallTree(tree)
  const say = (name: string) => `const char *${name}(void) { return "${version}"; }`
  upgrade(tree, `${LIBRARIES}/libtogether.so.1`, say('loaded'))
  upgrade(tree, '/usr/lib/together/plugin.so', say('say'))
  upgrade(tree, '/usr/lib/together/late.so', say('say'))
  const data = join(tree, 'usr/share/together/data')
  mkdirSync(dirname(data), { recursive: true })
  writeFileSync(data, version)
  // Some for packing, verifying and collecting to do.
  for (let index = 0; index < 50; index++)
    writeFileSync(`${data}-${index}`, `${version} ${index}\n`.repeat(1 + index * 40))
  compile(tree, 'usr/bin/together', PROGRAM, [join(tree, LIBRARIES, 'libtogether.so.1')])
  chmodSync(tree, 0o755)
}
