import { execFile, execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Random } from '../fuzz/random.js'
import { LIBRARIES as DIRECTORY } from '../support/small-tree.js'
import { History } from './history.js'

/** A library that is upgraded and downgraded, and what the program asks it for. */
export interface DebianLibrary {
  readonly soname: string
  readonly package: string
  /** Declares `version`, whose value is the library's own, in C, of text. */
  readonly declares: string
  readonly version: string
  /** A function that the program needs besides, and the version of the package that has it first. */
  readonly needs?: { readonly symbol: string; readonly since: string }
}

export const LIBRARIES: readonly DebianLibrary[] = [
  {
    soname: 'libz.so.1',
    package: 'zlib1g',
    declares: 'const char *zlibVersion(void);',
    version: 'zlibVersion()',
    needs: { symbol: 'crc32_combine_gen', since: '1:1.2.12' },
  },
  {
    soname: 'libnghttp2.so.14',
    package: 'libnghttp2-14',
    declares: 'struct nghttp2_info { int age, number; const char *text; }; struct nghttp2_info *nghttp2_version(int);',
    version: 'nghttp2_version(0)->text',
    needs: { symbol: 'nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation', since: '1.50' },
  },
  {
    soname: 'libsqlite3.so.0',
    package: 'libsqlite3-0',
    declares: 'const char *sqlite3_libversion(void);',
    version: 'sqlite3_libversion()',
    needs: { symbol: 'sqlite3_error_offset', since: '3.38' },
  },
  {
    soname: 'libuv.so.1',
    package: 'libuv1',
    declares: 'const char *uv_version_string(void);',
    version: 'uv_version_string()',
    needs: { symbol: 'uv_available_parallelism', since: '1.44' },
  },
  {
    soname: 'libexpat.so.1',
    package: 'libexpat1',
    declares: 'const char *XML_ExpatVersion(void);',
    version: 'XML_ExpatVersion() + strlen("expat_")',
  },
  {
    soname: 'libidn2.so.0',
    package: 'libidn2-0',
    declares: 'const char *idn2_check_version(const char *);',
    version: 'idn2_check_version(NULL)',
  },
  {
    soname: 'liblz4.so.1',
    package: 'liblz4-1',
    declares: 'const char *LZ4_versionString(void);',
    version: 'LZ4_versionString()',
  },
  {
    soname: 'libpng16.so.16',
    package: 'libpng16-16',
    declares: 'const char *png_get_libpng_ver(const void *);',
    version: 'png_get_libpng_ver(NULL)',
  },
  {
    soname: 'libyaml-0.so.2',
    package: 'libyaml-0-2',
    declares: 'const char *yaml_get_version_string(void);',
    version: 'yaml_get_version_string()',
  },
]

/** What the host has of one package. */
export interface Installed {
  readonly version: string
  readonly inode: number
}

/** By soname; what is missing was removed. */
export type DebianState = ReadonlyMap<string, Installed>

/** A tree of Debian in which dpkg installs, replaces and removes packages of libraries. */
export class DebianHost {
  readonly history: History<DebianState>
  readonly #root: string
  /** By package: archives, each of another version. */
  readonly #archives = new Map<string, readonly { readonly version: string; readonly path: string }[]>()

  /** `archives` are directories of packages, one for each release. */
  constructor(root: string, archives: readonly string[]) {
    this.#root = root
    mkdirSync(join(root, 'archives'))
    for (const directory of archives)
      for (const name of readdirSync(directory).filter(name => name.endsWith('.deb'))) {
        const [path, from] = [`/archives/${name}`, join(directory, name)]
        copyFileSync(from, join(root, path))
        const [of, version] = [fieldOf(from, 'Package'), fieldOf(from, 'Version')]
        this.#archives.set(of, [...(this.#archives.get(of) ?? []), { version, path }])
      }
    const versions = new Map(LIBRARIES.map(({ package: name }) => [name, installedVersion(root, name)]))
    this.history = new History(this.#look(versions))
  }

  /** Installs another version of a package, or the same again, or removes it. */
  change(random: Random): Promise<void> {
    const { package: name, soname } = random.pick(LIBRARIES)
    const archive = random.pick(this.#archives.get(name) ?? [])
    if (archive === undefined) throw new Error(`there is no archive of ${name}`)
    // dpkg needs zlib itself.
    const isRemoved = name !== 'zlib1g' && this.history.now.has(soname) && random.once(5)
    if (isRemoved) return this.#dpkg(name, null, ['--force-depends', '--remove', name])
    return this.#dpkg(name, archive.version, ['--install', archive.path])
  }

  #dpkg(name: string, version: string | null, args: readonly string[]): Promise<void> {
    return this.history.changeSlowly(`dpkg ${args.join(' ')}`, async before => {
      const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' }
      await promisify(execFile)('chroot', [this.#root, 'dpkg', ...args], { env })
      const known = LIBRARIES.map(library => [library.package, before.get(library.soname)?.version ?? null] as const)
      return this.#look(new Map([...known, [name, version] as const]))
    })
  }

  #look(versions: ReadonlyMap<string, string | null>): DebianState {
    const state = new Map<string, Installed>()
    for (const { soname, package: name } of LIBRARIES) {
      const version = versions.get(name) ?? null
      // Links in Debian's library directory are relative.
      if (version !== null)
        state.set(soname, { version, inode: statSync(realpathSync(join(this.#root, DIRECTORY, soname))).ino })
    }
    return state
  }
}

function installedVersion(root: string, name: string): string {
  const database = `--admindir=${root}/var/lib/dpkg`
  const status = execFileSync('dpkg-query', [database, '--status', name], { encoding: 'utf8' })
  return /^Version: (.+)$/m.exec(status)?.[1] ?? ''
}

function fieldOf(archive: string, name: string): string {
  return execFileSync('dpkg-deb', ['--field', archive, name], { encoding: 'utf8' }).trim()
}

/** For each library a line, `SONAME VERSION INODE`: what its code says, and the file that is mapped. It takes the newest C library. */
export function reportSource(): string {
  const needed = LIBRARIES.flatMap(({ needs }) => (needs === undefined ? [] : [needs.symbol]))
  return `#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
${LIBRARIES.map(({ declares }) => `${declares}\n`).join('')}${needed.map(symbol => `int ${symbol}(void);\n`).join('')}
void *const needed_here[] = { ${needed.join(', ')} };

static unsigned long inodeOf(const char *soname) {
  char line[8192], path[4096], want[4096];
  unsigned long inode, found = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  if (maps == NULL) exit(3);
  /* The mapped file has more numbers than the soname. */
  strlcpy(want, soname, sizeof want);
  while (fgets(line, sizeof line, maps) != NULL)
    if (sscanf(line, "%*s %*s %*s %*s %lu %4095s", &inode, path) == 2 && strncmp(basename(path), want, strlen(want)) == 0)
      found = inode;
  fclose(maps);
  return found;
}

int main(void) {
${LIBRARIES.map(({ soname, version }) => `  printf("${soname} %s %lu\\n", ${version}, inodeOf("${soname}"));\n`).join('')}  return 0;
}
`
}
