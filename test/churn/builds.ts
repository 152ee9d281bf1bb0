import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile } from '../support/fixtures.js'
import type { Build, Container, Copy } from './model.js'

interface Versions {
  readonly container: Build
  /** What the host's may be. */
  readonly host: readonly Build[]
}

const build = (soname: string, defines: string, needs: Build['needs'] = {}): Build => ({
  soname,
  defines: defines.split(' '),
  needs,
})

/**
 * Libraries of made-up versions, the first of which all builds of a library have. One is always private (p); one may be missing (d); two
 * are a family (f and g); and a newer one of the host's (b, d) needs more of another (a, e), so that it serves only with a newer one of
 * that.
 */
const LIBRARIES: readonly Versions[] = [
  {
    container: build('liba.so.1', 'A_0 A_1 A_2'),
    host: ['A_0 A_1 A_2', 'A_0 A_1 A_2 A_3', 'A_0 A_1'].map(defines => build('liba.so.1', defines)),
  },
  {
    container: build('libb.so.1', 'B_0 B_1', { 'liba.so.1': ['A_2'] }),
    host: [
      build('libb.so.1', 'B_0 B_1', { 'liba.so.1': ['A_1'] }),
      build('libb.so.1', 'B_0 B_1 B_2', { 'liba.so.1': ['A_3'] }),
      build('libb.so.1', 'B_0'),
    ],
  },
  {
    container: build('libd.so.1', 'D_0 D_1'),
    host: [build('libd.so.1', 'D_0 D_1'), build('libd.so.1', 'D_0 D_1', { 'libe.so.1': ['E_2'] })],
  },
  {
    container: build('libe.so.1', 'E_0 E_1'),
    host: ['E_0 E_1', 'E_0 E_1 E_2'].map(defines => build('libe.so.1', defines)),
  },
  {
    container: build('libf.so.1', 'F_0 F_1 F_PRIVATE'),
    host: ['F_0 F_1 F_PRIVATE', 'F_0 F_PRIVATE'].map(defines => build('libf.so.1', defines)),
  },
  {
    container: build('libg.so.1', 'G_0 G_1', { 'libf.so.1': ['F_PRIVATE'] }),
    host: ['G_0 G_1', 'G_0'].map(defines => build('libg.so.1', defines, { 'libf.so.1': ['F_PRIVATE'] })),
  },
  { container: build('libp.so.1', 'P_0 P_1'), host: [build('libp.so.1', 'P_0')] },
]

export const CONTAINER: Container = {
  needs: {
    'liba.so.1': ['A_0', 'A_2'],
    'libb.so.1': ['B_0', 'B_1'],
    'libd.so.1': ['D_0', 'D_1'],
    'libe.so.1': ['E_0', 'E_1'],
    'libf.so.1': ['F_0', 'F_1'],
    'libg.so.1': ['G_0', 'G_1'],
    'libp.so.1': ['P_0', 'P_1'],
  },
  copies: new Map(LIBRARIES.map(({ container }) => [container.soname, { ...container, generation: 0 }])),
  family: ['libf.so.1', 'libg.so.1'],
}

export const SONAMES: readonly string[] = Object.keys(CONTAINER.needs)

export function hostBuilds(soname: string): readonly Build[] {
  return LIBRARIES.find(({ container }) => container.soname === soname)?.host ?? []
}

/** Compiles builds once, and makes as many files of each as are asked for: they differ in the number of their generation. */
export class Foundry {
  readonly #directory: string
  readonly #made = new Map<string, Buffer>()

  constructor(directory: string) {
    this.#directory = directory
    mkdirSync(directory)
    // To link with: all that any build of a library defines.
    for (const { container, host } of LIBRARIES) {
      const defines = [...new Set([container, ...host].flatMap(build => build.defines))].sort()
      this.#compile({ ...container, defines, needs: {} }, join('all', container.soname))
    }
  }

  /** The bytes of a file. */
  cast({ generation, ...build }: Copy): Buffer {
    const key = JSON.stringify(build)
    const made = this.#made.get(key) ?? readFileSync(this.#compile(build, `${this.#made.size}.so`))
    this.#made.set(key, made)
    const bytes = Buffer.from(made)
    bytes.write(String(generation).padStart(DIGITS, '0'), bytes.indexOf(PLACE) + PLACE.length - DIGITS, 'latin1')
    return bytes
  }

  /** The program, which tells what it has mapped. */
  program(runpath: string): Buffer {
    return readFileSync(
      compile(this.#directory, 'program', programSource(), [...this.#linked(CONTAINER.needs), `-Wl,-rpath,${runpath}`]),
    )
  }

  #compile({ soname, defines, needs }: Build, name: string): string {
    const script = join(this.#directory, `${defines.join('-')}.map`)
    writeFileSync(script, versionScript(soname, defines))
    const flags = ['-shared', '-fPIC', `-Wl,-soname,${soname},--version-script=${script}`, ...this.#linked(needs)]
    return compile(this.#directory, name, librarySource(soname, defines, needs), flags)
  }

  #linked(needs: Build['needs']): readonly string[] {
    return ['-Wl,-z,now,--no-as-needed', ...Object.keys(needs).map(soname => join(this.#directory, 'all', soname))]
  }
}

const DIGITS = 10
const PLACE = `GENERATION=${'#'.repeat(DIGITS)}`

const stampOf = (soname: string) => `${soname.replace(/\W.*/, '')}_stamp`
const symbolOf = (version: string) => `symbol_${version}`
const versionsIn = (needs: Build['needs']) => Object.values(needs).flat()

function versionScript(soname: string, defines: readonly string[]): string {
  return defines
    .map(
      (version, at) =>
        `${version} { global: ${symbolOf(version)}; ${at === 0 ? `${stampOf(soname)}; local: *; ` : ''}};\n`,
    )
    .join('')
}

/** Whoever needs a version has the address of its symbol in his data, which the loader puts there at once. */
function needing(needs: Build['needs']): string {
  const symbols = versionsIn(needs).map(symbolOf)
  const declared = symbols.map(symbol => `int ${symbol}(void);\n`).join('')
  return `${declared}void *const needed_here[] = { ${symbols.join(', ')} };\n`
}

function librarySource(soname: string, defines: readonly string[], needs: Build['needs']): string {
  const functions = defines.map(version => `int ${symbolOf(version)}(void) { return 0; }\n`).join('')
  return `${needing(needs)}${functions}const char *${stampOf(soname)}(void) { return "${PLACE}"; }\n`
}

/** For each library a line: `SONAME GENERATION INODE`, of the code that is called and of the file that is mapped there. */
function programSource(): string {
  const stamps = SONAMES.map(stampOf)
  return `#include <stdio.h>
#include <stdlib.h>
#include <string.h>
${needing(CONTAINER.needs)}${stamps.map(stamp => `const char *${stamp}(void);\n`).join('')}
static unsigned long inodeAt(const void *address) {
  unsigned long begin, end, inode, found = 0;
  char line[8192];
  FILE *maps = fopen("/proc/self/maps", "r");
  if (maps == NULL) exit(3);
  while (fgets(line, sizeof line, maps) != NULL)
    if (sscanf(line, "%lx-%lx %*s %*s %*s %lu", &begin, &end, &inode) == 3 && begin <= (unsigned long)address &&
        (unsigned long)address < end)
      found = inode;
  fclose(maps);
  return found;
}

static void tell(const char *soname, const char *(*stamp)(void)) {
  printf("%s %lu %lu\\n", soname, strtoul(strchr(stamp(), '=') + 1, NULL, 10), inodeAt(stamp()));
}

int main(void) {
${SONAMES.map((soname, at) => `  tell("${soname}", ${stamps[at]});\n`).join('')}  return 0;
}
`
}
