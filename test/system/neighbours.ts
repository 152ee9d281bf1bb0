import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { compile } from '../support/fixtures.js'
import { roots } from '../support/roots.js'
import { forEachPerson } from '../support/site.js'

const scripts = fileURLToPath(new URL('../../../scripts/', import.meta.url))
const trace = readFileSync(`${scripts}lib/trace-symbols`, 'utf8')
const files = execFileSync(`${scripts}check-neighbours`, ['--list'], { encoding: 'utf8' }).trim().split('\n')
/** scripts/check-neighbours looks at all of them. */
const SAMPLE = 150

/** Python is the entry; it gives way to any other program. */
const EXECUTE = 'import os, sys; os.execvp(sys.argv[1], sys.argv[1:])'

forEachPerson((who, makeSite) =>
  t.test(`this host’s programs beside a private glibc, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    await site.packAll([roots.trixie(), 'neighbours', 'python3.13', 'curl', 'git', 'jq', 'sqlite3'])
    const inside = (command: readonly string[], options = {}) =>
      site.run(['neighbours', '-c', EXECUTE, ...command], options)

    t.test('the glibc is the private one', async t => {
      t.match((await inside(['/usr/bin/ldd', '--version'])).stdout, /^ldd \(.*\) 2\.\d+\n/)
      const script =
        'import ctypes; f = ctypes.CDLL(None).gnu_get_libc_version; f.restype = ctypes.c_char_p; print(f().decode())'
      t.equal((await inside(['/usr/bin/python3', '-c', script])).stdout, '2.41\n')
      t.not((await site.command('/usr/bin/python3', ['-c', script])).stdout, '2.41\n')
    })

    t.test('none resolves less inside than outside', async t => {
      // The loader must be heard when something is missing.
      const source = 'int missing(void); int call(void) { return missing(); }'
      const canary = compile(site.directory, 'canary.so', source, ['-shared', '-fPIC'])
      const step = Math.ceil(files.length / SAMPLE)
      const input = [canary, ...files.filter((_, index) => index % step === 0)].join('\n')
      const unresolved = async (run: typeof inside) => {
        const { status, stdout, stderr } = await run(['/bin/bash', '-c', trace], { input })
        t.match({ status, stderr }, { status: 0, stderr: '' })
        return stdout.trimEnd().split('\n')
      }
      const outsideLines = await unresolved(([program = '', ...args], options) => site.command(program, args, options))
      const insideLines = await unresolved(inside)
      for (const lines of [outsideLines, insideLines]) {
        t.match(
          lines.filter(line => line.startsWith(canary)),
          [/undefined symbol: missing\b/],
        )
      }
      t.same(
        insideLines.filter(line => !outsideLines.includes(line)),
        [],
      )
    })

    t.test('case 37: character sets: glibc’s modules and their cache', async t => {
      const word = '日本語'
      for (const [charset, bytes] of [
        ['SHIFT_JIS', '93fa967b8cea'],
        ['EUC-JP', 'c6fccbdcb8ec'],
      ] as const) {
        const convert = `iconv -f UTF-8 -t ${charset} | od -An -tx1 | tr -d ' \\n'`
        t.match(
          await inside(['/bin/sh', '-c', convert], { input: word }),
          { status: 0, stdout: bytes, stderr: '' },
          charset,
        )
        const back = `iconv -f UTF-8 -t ${charset} | iconv -f ${charset} -t UTF-8`
        t.match(
          await inside(['/bin/sh', '-c', back], { input: word }),
          { status: 0, stdout: word, stderr: '' },
          charset,
        )
      }
    })

    t.test('case 38: a UTF-8 locale', async t => {
      const options = { env: { LC_ALL: 'C.UTF-8' } }
      t.match(await inside(['/usr/bin/locale', 'charmap'], options), { status: 0, stdout: 'UTF-8\n', stderr: '' })
      const script =
        'import locale; locale.setlocale(locale.LC_ALL, "C.UTF-8"); print(locale.nl_langinfo(locale.CODESET), "ÄÖ".lower())'
      for (const python of ['/usr/bin/python3', '/usr/bin/python3.13']) {
        t.match(await inside([python, '-c', script], options), { status: 0, stdout: 'UTF-8 äö\n', stderr: '' }, python)
      }
      const perl = await inside(['/usr/bin/perl', '-e', 'print "fine\n"'], options)
      t.match(perl, { status: 0, stdout: 'fine\n', stderr: '' }, 'perl would warn of a locale that cannot be set')
    })

    t.test('case 36: users and hosts: glibc’s name service', async t => {
      for (const command of [
        ['/usr/bin/getent', 'passwd', 'root'],
        ['/usr/bin/getent', 'hosts', 'localhost'],
        ['/usr/bin/getent', 'services', 'https'],
        ['/usr/bin/id', '-u'],
        ['/usr/bin/id', '-un', 'root'],
      ] as const) {
        const [program, ...args] = command
        const outside = await site.command(program, args)
        t.match(outside, { status: 0, stdout: /./ })
        t.same(await inside(command), outside, command.join(' '))
      }
    })
  }),
)
