import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { libraries, program, tree } from '../decide/scenario.js'
import { forEachPerson } from '../support/site.js'

/*
 * What others got wrong with what they were given: names, archives and ELF files. More of it: paths and kinds that a manifest must not
 * have (test/container/manifest.ts), links that lead out of a tree (test/container/pack.ts), ELF files that lie (test/elf/malformed.ts,
 * test/fuzz), plans (test/native/decode.ts).
 */

const LIBRARY = program('int held(void) { return 0; }', {}, ['-shared', '-fPIC', '-Wl,-soname,libheld.so.1'])
const PROGRAM = 'int held(void); int main(void) { return held(); }'
const CONTROL = '\x1b[31m\x07\u009b2J'

forEachPerson((who, makeSite) =>
  t.test(`what is given to be packed, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const root = tree({
      '/usr/bin/app': program(PROGRAM, { 'libheld.so.1': LIBRARY }),
      [`${libraries}/libheld.so.1`]: LIBRARY,
    })
    chmodSync(dirname(root), 0o755)

    t.test('archives: no setuid bit, capability or attribute of a file is kept, and no device', async t => {
      const opt = join(root, 'opt/site')
      mkdirSync(opt, { recursive: true })
      for (const name of ['plain', 'setuid', 'attributes'])
        writeFileSync(join(opt, name), `#!/bin/sh\necho ${name}\n`, { mode: 0o755 })
      chmodSync(join(opt, 'setuid'), 0o6755)
      const isRoot = process.geteuid?.() === 0
      if (isRoot) {
        execFileSync('setcap', ['cap_sys_admin+ep', join(opt, 'attributes')])
        execFileSync('mknod', [join(opt, 'memory'), 'c', '1', '1'])
      }
      execFileSync('python3', ['-c', `import os; os.setxattr('${join(opt, 'attributes')}', 'user.appc', b'kept')`])
      execFileSync('mkfifo', [join(opt, 'fifo')])
      const packed = await site.appc('pack', '--root', root, '--name', 'attributes', 'app', '--include', '/opt/site')
      // A kind of file that cannot be packed is an error, or left out: it never is in a container.
      if (packed.status === 0) t.match(packed.stderr, '')
      for (const name of ['memory', 'fifo']) execFileSync('rm', ['-f', join(opt, name)])
      t.match(await site.appc('pack', '--root', root, '--name', 'attributes', 'app', '--include', '/opt/site'), {
        status: 0,
      })
      const objects = join(site.store, 'objects')
      const files = readdirSync(objects, { recursive: true, encoding: 'utf8' })
        .map(name => join(objects, name))
        .filter(path => statSync(path).isFile())
      t.ok(files.length > 3)
      t.ok(files.some(path => readFileSync(path, 'utf8').includes('echo attributes')))
      t.same(
        files.filter(path => (statSync(path).mode & 0o7000) !== 0),
        [],
      )
      const attributes = `import os, sys\nfor path in sys.argv[1:]: print(os.listxattr(path), end='')`
      t.equal(execFileSync('python3', ['-c', attributes, ...files], { encoding: 'utf8' }), '[]'.repeat(files.length))
    })

    t.test('ELF: nothing of a tree is run to look at it', async t => {
      const mark = join(site.home, 'run')
      const evil = tree({
        // Its loader and itself would leave a mark.
        '/usr/bin/evil': program('int main(void) { return 0; }', {}, ['-Wl,--dynamic-linker=/usr/bin/loader']),
        '/usr/bin/app': program(PROGRAM, { 'libheld.so.1': LIBRARY }),
        '/usr/bin/loader': program(
          `#include <fcntl.h>\nint main(void) { return open("${mark}", O_CREAT, 0600); }`,
          {},
          ['-static'],
        ),
        '/usr/bin/ldd': `#!/bin/sh\ntouch ${mark}\n`,
        [`${libraries}/libheld.so.1`]: LIBRARY,
      })
      chmodSync(dirname(evil), 0o755)
      for (const name of ['loader', 'ldd']) chmodSync(join(evil, 'usr/bin', name), 0o755)
      const trace = join(site.home, 'trace')
      const commands: readonly (readonly string[])[] = [
        ['tree', join(evil, 'usr/bin/evil')],
        ['tree', '--root', evil, '/usr/bin/app'],
        ['pack', '--root', evil, '--name', 'app', 'app'],
        ['pack', '--root', evil, '--name', 'evil', 'evil'],
        ['plan', 'app'],
        ['inventory', '--root', evil],
      ]
      for (const command of commands) {
        const options = ['-f', '-qq', '-e', 'trace=execve,execveat', '-o', trace]
        await site.command('strace', [...options, process.execPath, site.cli, ...command])
        const executed = [...readFileSync(trace, 'utf8').matchAll(/execve(?:at)?\([^"]*"([^"]*)"/g)].map(
          ([, path = '']) => path,
        )
        t.same(executed, [process.execPath], command.join(' '))
      }
      t.notOk(existsSync(mark))
    })

    t.test('CVE-2023-28101: what is printed of others steers no terminal', async t => {
      const opt = join(root, `opt/${CONTROL}`)
      mkdirSync(opt, { recursive: true })
      writeFileSync(join(opt, CONTROL), 'x')
      writeFileSync(join(root, 'usr/bin', CONTROL), '#!/bin/sh\n', { mode: 0o755 })
      const dash = program('int main(void) { return 0; }', {}, [`-Wl,-rpath,/${CONTROL}`])
      writeFileSync(join(root, 'usr/bin/rpath'), dash, { mode: 0o755 })
      const ran = [
        await site.appc('pack', '--root', root, '--name', 'named', 'app', '--include', `/opt/${CONTROL}`),
        await site.appc('pack', '--root', root, '--name', 'entry', CONTROL),
        await site.appc('pack', '--root', root, '--name', 'rpath', 'rpath', '--needs', `ro=/${CONTROL}`),
        await site.appc('pack', '--root', root, '--name', CONTROL, 'app'),
        await site.appc('pack', '--root', `/${CONTROL}`, '--name', 'app', 'app'),
        await site.appc('tree', join(root, 'usr/bin/rpath')),
        await site.appc('tree', `/${CONTROL}`),
        await site.appc('list'),
        await site.appc('plan', 'named'),
        await site.appc('plan', 'rpath'),
        await site.appc('plan', CONTROL),
        await site.appc('explain', 'named', CONTROL),
        await site.appc('remove', CONTROL),
        await site.run(['--sandbox', 'rpath']),
        await site.run([CONTROL]),
      ]
      for (const { stdout, stderr } of ran) {
        t.notMatch(stdout + stderr, /[^\n\x20-\x7e\u{a0}-\u{10ffff}]/u)
        t.ok(stdout + stderr)
      }
    })
  }),
)
