import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { resolveGraph } from '../../../lib/loader/resolve.js'
import { rootFileSystem } from '../../../lib/loader/root-file-system.js'
import type { Graph } from '../../../lib/loader/types.js'
import { temporaryDirectory } from '../../support/fixtures.js'
import { EVERY_VERSION, hows } from '../../support/judge.js'
import { LoaderFixtures, RPATH, RUNPATH, rpath, soname } from '../../support/loader-fixtures.js'
import { HOST_LOADER } from '../../support/oracle.js'

/*
 * Programs that run with more rights than their caller's, really: setuid to root, setgid or with capabilities, and started by
 * another user. No such program can be traced; this one tells itself what the loader has loaded, by the list that debuggers use.
 */
const PROGRAM = `
  #include <link.h>
  extern ElfW(Dyn) _DYNAMIC[];
  static void say(const char *text) {
    long length = 0, done;
    while (text[length]) length++;
    __asm__ volatile("syscall" : "=a"(done) : "a"(1), "D"(1), "S"(text), "d"(length) : "rcx", "r11", "memory");
  }
  int main(void) {
    for (ElfW(Dyn) *entry = _DYNAMIC; entry->d_tag; entry++) {
      if (entry->d_tag != DT_DEBUG) continue;
      for (struct link_map *map = ((struct r_debug *)entry->d_un.d_ptr)->r_map; map; map = map->l_next) {
        say(map->l_name);
        say("\\n");
      }
    }
    return 0;
  }`

const fixtures = new LoaderFixtures()
fixtures.named('made/libs.so')
fixtures.named('made/libpre.so')

/** A root for each version of the loader, since what is trusted are its own directories. */
const rootOf = new Map(EVERY_VERSION.map(by => [by, makeRoot(by.loader)]))

function makeRoot(loader: string): string {
  const root = temporaryDirectory()
  chmodSync(root, 0o755)
  for (const path of ['bin', 'etc', 'lib64', 'proc']) mkdirSync(join(root, path))
  copyFileSync(loader, join(root, 'lib64', basename(loader)))
  if (basename(loader) !== basename(HOST_LOADER)) symlinkSync(basename(loader), join(root, HOST_LOADER))
  return root
}

/** Puts a file into all roots. */
function put(file: string, path: string, mode = 0o755): void {
  for (const root of rootOf.values()) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    copyFileSync(join(fixtures.dir, file), join(root, path))
    chmodSync(join(root, path), mode)
  }
}

function remove(path: string): void {
  for (const root of rootOf.values()) rmSync(join(root, path))
}

/** A program at a path of all roots, which needs libs.so or others. */
function program(
  path: string,
  flags: readonly string[],
  needs: readonly string[] = ['made/libs.so'],
  mode = 0o4755,
): string {
  fixtures.executable('program', PROGRAM, needs, ['-fno-builtin', ...flags.map(flag => `-Wl,${flag}`)])
  put('program', path, mode)
  return path
}

/** Starts a program of a root as another user. The loader asks /proc for the program's own path, of which it takes $ORIGIN. */
const namespaces = ['--mount', ...(process.geteuid?.() === 0 ? [] : ['--map-auto', '--map-root-user'])]
const START = 'mount --rbind /proc "$0/proc" && exec chroot --userspec=1:1 --groups= "$0" "$1"'

interface Setting {
  readonly libraryPath?: string
  readonly preload?: string
  readonly secure?: boolean
}

/** What a run has loaded, and what we say; the way in which libs.so was found. */
function judge(tap: Test, path: string, { libraryPath = '', preload = '', secure = true }: Setting = {}) {
  const graphs = [...rootOf].map(([{ what }, root]) => {
    const context = {
      ...{ cpuLevel: 0, workingDirectory: '/', secure },
      libraryPath: libraryPath === '' ? [] : libraryPath.split(':'),
      preload: preload === '' ? [] : preload.split(':'),
    }
    const graph = resolveGraph(rootFileSystem(root), path, context)
    const env = {
      ...{ PATH: process.env.PATH },
      ...(libraryPath !== '' && { LD_LIBRARY_PATH: libraryPath }),
      ...(preload !== '' && { LD_PRELOAD: preload }),
    }
    const run = spawnSync('unshare', [...namespaces, 'sh', '-c', START, root, path], { env, encoding: 'utf8' })
    tap.equal(graph.problems.length > 0, run.status === 127, `${what}: ${run.stderr}`)
    if (graph.problems.length === 0) {
      const loaded = run.stdout.split('\n')
      // The loader lists itself or not, by its version.
      const libraries = (paths: readonly string[]) =>
        paths.filter(path => path.startsWith('/') && path !== HOST_LOADER).sort()
      tap.same(
        libraries(graph.objects.slice(1).map(object => object.path)),
        libraries(loaded),
        `${what}: what is loaded`,
      )
    }
    return graph
  })
  return hows(graphs[1] as Graph)
}

t.test('case 42, rule 14: LD_LIBRARY_PATH is not heard', async t => {
  put('made/libs.so', 'opt/env/libs.so')
  const file = program('bin/by-env', [])
  t.equal(judge(t, '/bin/by-env', { libraryPath: '/opt/env' })['libs.so'], 'not-found')
  for (const root of rootOf.values()) chmodSync(join(root, file), 0o755)
  t.equal(judge(t, '/bin/by-env', { libraryPath: '/opt/env', secure: false })['libs.so'], 'ld-library-path')
  for (const root of rootOf.values()) chmodSync(join(root, file), 0o2755)
  t.equal(judge(t, '/bin/by-env', { libraryPath: '/opt/env' })['libs.so'], 'not-found', 'setgid')
})

t.test('case 42, rule 14: file capabilities count like setuid', async t => {
  program('bin/capable', [], ['made/libs.so'], 0o755)
  const inside = process.geteuid?.() === 0 ? [] : ['unshare', '--map-root-user']
  for (const root of rootOf.values()) {
    const [command = '', ...args] = [...inside, 'setcap', 'cap_net_raw+ep', join(root, 'bin/capable')]
    execFileSync(command, args)
  }
  t.equal(judge(t, '/bin/capable', { libraryPath: '/opt/env' })['libs.so'], 'not-found')
})

t.test('case 42, rule 14: plain directories of RPATH and RUNPATH are searched, whosever they are', async t => {
  put('made/libs.so', 'home/libs.so')
  for (const tag of [RPATH, RUNPATH]) {
    program('bin/plain', [tag, rpath('/home')])
    t.equal(judge(t, '/bin/plain')['libs.so'], tag === RPATH ? 'rpath' : 'runpath')
  }
})

t.test('case 42, rule 6, rule 14: $ORIGIN only first, and for the program only under a trusted directory', async t => {
  put('made/libs.so', 'usr/lib/app/lib/libs.so')
  put('made/libs.so', 'opt/app/lib/libs.so')
  for (const [path, element, found] of [
    ['usr/lib/app/bin/program', '$ORIGIN/../lib', true],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the loader's token, not ours
    ['usr/lib/app/bin/program', '${ORIGIN}/../lib', true],
    ['usr/lib/app/lib/program', '$ORIGIN', true],
    ['usr/lib/app/bin/program', '$ORIGIN/../../../../opt/app/lib', false],
    ['usr/lib/app/bin/program', '/$ORIGIN/../lib', false],
    ['usr/lib/app/bin/program', '/usr/lib/app/$ORIGIN/../lib', false],
    ['opt/app/bin/program', '$ORIGIN/../lib', false],
    ['opt/app/bin/program', '$ORIGIN/../../../usr/lib/app/lib', true],
    ['opt/app/bin/program', '/opt/app/$LIB', true],
    ['usr/lib/app/bin/program', '$ORIGINAL/../lib', false],
  ] as const) {
    if (element.includes('$LIB')) put('made/libs.so', 'opt/app/lib/x86_64-linux-gnu/libs.so')
    program(path, [RUNPATH, rpath(element)])
    t.equal(judge(t, `/${path}`)['libs.so'] !== 'not-found', found, `${path} ${element}`)
  }
})

t.test('case 42, rule 14: $ORIGIN of a library may lead anywhere, if it stands first', async t => {
  put('made/libs.so', 'opt/deep/libs.so')
  for (const [element, found] of [
    ['$ORIGIN/deep', true],
    ['/$ORIGIN/deep', false],
  ] as const) {
    fixtures.named('made/libmiddle.so', ['made/libs.so'], [RUNPATH, rpath(element)])
    put('made/libmiddle.so', 'opt/libmiddle.so')
    program('bin/through', [RUNPATH, rpath('/opt')], ['made/libmiddle.so'])
    t.equal(judge(t, '/bin/through')['libs.so'] !== 'not-found', found, element)
  }
})

t.test('case 42, rule 14: a token in NEEDED ends it', async t => {
  put('made/libs.so', 'opt/lib/x86_64-linux-gnu/libs.so')
  for (const [name, ends] of [
    ['$ORIGIN/../opt/env/libs.so', true],
    ['/opt/$LIB/libs.so', true],
    ['/opt/env/libs.so', false],
  ] as const) {
    fixtures.library('made/libtoken.so', [], [soname(name)])
    program('bin/token', [], ['made/libtoken.so'])
    judge(t, '/bin/token')
    const [root = ''] = rootOf.values()
    const { problems } = resolveGraph(rootFileSystem(root), '/bin/token', {
      cpuLevel: 0,
      libraryPath: [],
      preload: [],
      secure: true,
    })
    t.equal(problems[0]?.kind, ends ? 'unusable' : undefined)
  }
})

t.test('case 42, case 41, rule 14: preloads without a slash, of files that are setuid themselves', async t => {
  put('made/libs.so', 'usr/lib/libs.so')
  program('bin/preloaded', [RUNPATH, rpath('/opt/own')])
  const preloaded = (preload: string) => judge(t, '/bin/preloaded', { preload })
  put('made/libpre.so', 'opt/libpre.so', 0o4755)
  t.equal(preloaded('/opt/libpre.so')['/opt/libpre.so'], undefined, 'a name with a slash')
  put('made/libpre.so', 'usr/lib/libpre.so')
  t.equal(preloaded('libpre.so')['libpre.so'], undefined, 'not setuid')
  put('made/libpre.so', 'usr/lib/libpre.so', 0o4755)
  t.equal(preloaded('libpre.so')['libpre.so'], 'preload')
  put('made/libpre.so', 'opt/own/libpre.so')
  t.equal(preloaded('libpre.so')['libpre.so'], 'preload', 'one that is not is passed over')
  put('made/libpre.so', 'opt/own/libpre.so', 0o4755)
  t.equal(preloaded('libpre.so')['libpre.so'], 'preload')
  for (const path of ['usr/lib/libpre.so', 'opt/own/libpre.so']) remove(path)
  for (const root of rootOf.values()) {
    writeFileSync(join(root, 'etc/ld.so.conf'), '/opt\n')
    execFileSync('/sbin/ldconfig', ['-r', root, '-X'])
  }
  t.equal(preloaded('libpre.so')['libpre.so'], undefined, 'the cache is not asked')
  for (const root of rootOf.values()) writeFileSync(join(root, 'etc/ld.so.preload'), 'libpre.so /opt/libplain.so')
  put('made/libpre.so', 'opt/libplain.so')
  t.equal(preloaded('')['/opt/libplain.so'], 'preload', '/etc/ld.so.preload may hold paths')
  for (const root of rootOf.values()) renameSync(join(root, 'etc/ld.so.preload'), join(root, 'etc/off'))
})
