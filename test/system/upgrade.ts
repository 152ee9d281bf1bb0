import { execFileSync } from 'node:child_process'
import { copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { compile } from '../support/fixtures.js'
import { forEachPerson, type Site } from '../support/site.js'
import { LIBRARIES, makeSmallTree, upgrade } from '../support/small-tree.js'

/** Where the program looks first; at the beginning there is no such directory. */
const RUNPATH = '/opt/first'

/** Tells whose it is; `extra` is what a later version of it has more. */
const library = (whose: string, extra: boolean) =>
  `const char *whose(void) { return "${whose}"; }\n${extra ? 'int extra(void) { return 1; }' : ''}`

const PROGRAM = `
#include <stdio.h>
const char *whose(void);
int extra(void);
int main(void) { printf("%s %d\\n", whose(), extra()); }
`

/** A tree with libx.so.1 besides the C library. */
function makeTree(site: Site, name: string, source: string): string {
  const tree = join(site.directory, name)
  makeSmallTree(tree)
  upgrade(tree, `${LIBRARIES}/libx.so.1`, source)
  return tree
}

const ldconfig = (tree: string) => execFileSync('/sbin/ldconfig', ['-r', tree], { stdio: 'ignore' })

forEachPerson((who, makeSite) =>
  t.test(`the host changes, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const origin = makeTree(site, 'origin', library('the container’s', true))
    compile(origin, 'usr/bin/program', PROGRAM, [join(origin, LIBRARIES, 'libx.so.1'), `-Wl,-rpath,${RUNPATH}`])
    ldconfig(origin)
    const host = makeTree(site, 'host', library('the host’s', true))
    ldconfig(host)
    await site.pack(origin, 'program', 'program')

    /** Launches twice: the first is planned anew when something changed, the second goes by its plan. */
    const prints = async (t: Test, expected: string, change: 'changed' | 'unchanged' = 'changed') => {
      for (const executions of [change === 'changed' ? 4 : 2, 2]) {
        const log = join(site.home, 'strace')
        const options = ['-f', '--seccomp-bpf', '-qq', '-e', 'trace=execve', '-e', 'status=successful', '-o', log]
        const ran = await site.command('strace', [...options, site.launcher, '--root', host, 'program'])
        t.match(ran, { status: 0, stdout: `${expected} 1\n`, stderr: '' })
        // The launcher and the program; when it is planned, the launcher, Node, the launcher and the program.
        t.equal(readFileSync(log, 'utf8').match(/execve\(/g)?.length, executions, 'programs that were started')
      }
    }
    const changes = (name: string, change: () => void, expected: string) =>
      t.test(name, async t => {
        change()
        await prints(t, expected)
      })
    const path = `${LIBRARIES}/libx.so.1`

    t.test('at first', t => prints(t, 'the host’s'))
    t.test('nothing', t => prints(t, 'the host’s', 'unchanged'))
    changes(
      'replaced by one that serves as well',
      () => upgrade(host, path, library('the upgraded', true)),
      'the upgraded',
    )
    changes(
      'replaced by one that lacks a symbol',
      () => upgrade(host, path, library('the poorer', false)),
      'the container’s',
    )
    changes('replaced by one that has it again', () => upgrade(host, path, library('the mended', true)), 'the mended')
    changes('removed', () => rmSync(join(host, path)), 'the container’s')
    changes('there again', () => upgrade(host, path, library('the new', true)), 'the new')

    t.test('the directory changes, but nothing that the plan rests on', async t => {
      writeFileSync(join(host, LIBRARIES, 'libunrelated.so'), '')
      await prints(t, 'the new', 'unchanged')
    })
    const earlier = `${RUNPATH}/libx.so.1`
    changes(
      'one appears earlier in the search',
      () => upgrade(host, earlier, library('the earlier', true)),
      'the earlier',
    )
    changes('and goes again, with its directory', () => rmSync(join(host, RUNPATH), { recursive: true }), 'the new')
    const cached = () => {
      upgrade(host, '/usr/local/lib/libx.so.1', library('the local', true))
      ldconfig(host)
    }
    changes('the cache leads to another', cached, 'the local')
    const preload = () => {
      compile(host, 'usr/lib/preload.so', library('the preloaded', false), ['-shared', '-fPIC'])
      writeFileSync(join(host, 'etc/ld.so.preload'), '/usr/lib/preload.so\n')
    }
    changes('/etc/ld.so.preload appears', preload, 'the preloaded')
    changes('and goes again', () => rmSync(join(host, 'etc/ld.so.preload')), 'the local')
    const libc = join(host, LIBRARIES, 'libc.so.6')
    const glibc = () => {
      copyFileSync(libc, `${libc}.dpkg-new`)
      renameSync(`${libc}.dpkg-new`, libc)
    }
    changes('the C library is replaced by a copy of it', glibc, 'the local')

    t.test('the container is replaced by another of its name', async t => {
      upgrade(host, '/usr/local/lib/libx.so.1', library('the poorer', false))
      t.equal((await site.appc('remove', 'program')).status, 0)
      t.match(await site.run(['--root', host, 'program']), {
        status: 125,
        stdout: '',
        stderr: /no container program\b/,
      })
      upgrade(origin, path, library('the next container’s', true))
      await site.pack(origin, 'program', 'program')
      await prints(t, 'the next container’s')
    })
  }),
)
