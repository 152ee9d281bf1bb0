import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { program as compiled, type Files, inTree, libraries, put, type Run } from '../scenario.js'

/** Libraries by soname, in the directory where the loader looks for them. */
export function at(files: Readonly<Record<string, Buffer>>, directory = libraries): Files {
  return Object.fromEntries(Object.entries(files).map(([name, file]) => [`${directory}/${name}`, file]))
}

/** A program that prints the sum of what these functions return; `linked` has them. */
export function printing(
  names: readonly string[],
  linked: Readonly<Record<string, Buffer>>,
  flags: readonly string[] = [],
): Buffer {
  const declared = names.map(name => `int ${name}(void);`).join(' ')
  const sum = names.map(name => `${name}()`).join(' + ')
  return compiled(
    `int printf(const char *, ...); ${declared} int main(void) { return printf("%d\\n", ${sum}) < 0; }`,
    linked,
    flags,
  )
}

/** The choice made by hand: a program of the tree runs with these libraries before the tree's own. */
export function byHand(
  root: string,
  path: string,
  own: Readonly<Record<string, Buffer>>,
  args: readonly string[] = [],
): Run {
  for (const [name, file] of Object.entries(own)) put(root, `/trial/${name}`, file)
  try {
    return inTree(root, path, { LD_LIBRARY_PATH: '/trial', LD_BIND_NOW: '1' }, args)
  } finally {
    rmSync(join(root, 'trial'), { recursive: true })
  }
}

/** An entry that says what `value` returns and becomes the program that it is told, which binds all at its start. */
export function becoming(
  value: string,
  linked: Readonly<Record<string, Buffer>>,
  flags: readonly string[] = [],
): Buffer {
  const source = `int printf(const char *, ...), fflush(void *), execv(const char *, char **), setenv(const char *, const char *, int);
    int ${value}(void);
    int main(int argc, char **argv) {
      printf("app %d\\n", ${value}());
      fflush(0);
      setenv("LD_BIND_NOW", "1", 1);
      return argc < 2 ? 0 : execv(argv[1], argv + 1);
    }`
  return compiled(source, linked, flags)
}

/** A program that loads the plugins that it is told, one after the other, and says why not. */
export function loading(linked: Readonly<Record<string, Buffer>> = {}): Buffer {
  const source = `int printf(const char *, ...); void *dlopen(const char *, int); char *dlerror(void);
    int main(int argc, char **argv) {
      int failed = 0;
      for (int at = 1; at < argc; at++)
        if (dlopen(argv[at], 2)) printf("loaded\\n");
        else failed = printf("%s\\n", dlerror()) > 0;
      return failed;
    }`
  return compiled(source, linked)
}
