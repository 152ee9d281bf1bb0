import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ATTRIBUTES, addon, BYTES, type Change, NAMES, PLACE, type WatchMethod } from '../../lib/launch/addon.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'
import { refusing } from '../support/refusing.js'
import { forEachPerson, type Site } from '../support/site.js'

const native = addon()
const METHODS: readonly WatchMethod[] = ['fanotify', 'inotify']

/** A directory with a file that has a second name in another, and what is noticed of the first. */
class Fixture {
  readonly directory = temporaryDirectory()
  readonly elsewhere = temporaryDirectory()
  readonly file = join(this.directory, 'file')
  readonly link = join(this.elsewhere, 'link')
  readonly watch
  readonly #numbers: readonly [directory: number, file: number]
  #wake = () => {}

  constructor(t: Test, method: WatchMethod) {
    writeFileSync(this.file, 'right')
    linkSync(this.file, this.link)
    this.watch = native.openWatch(method, () => this.#wake())
    t.teardown(() => native.closeWatch(this.watch))
    const [directory = -1] = native.watchMany(this.watch, [this.directory], true)
    const [file = -1, link = -1] = native.watchMany(this.watch, [this.file, this.link], false)
    t.ok(directory >= 0 && file >= 0 && directory !== file)
    t.equal(link, file, 'the same file under another name')
    this.#numbers = [directory, file]
  }

  /** What is noticed of something that is done: `NAME of the directory` or `file`, each with what has changed, all processes. */
  async noticed(change: () => void): Promise<{ readonly seen: Record<string, number>; readonly processes: number[] }> {
    const changes: Change[] = []
    const came = new Promise<void>(resolve => {
      this.#wake = () => {
        changes.push(...native.takeChanges(this.watch).changes)
        resolve()
      }
    })
    change()
    await came
    const [directory] = this.#numbers
    const seen: Record<string, number> = {}
    for (const { watch, name, kinds } of changes) {
      const what = watch === directory ? `/${name}` : 'file'
      seen[what] = (seen[what] ?? 0) | kinds
    }
    return { seen, processes: [...new Set(changes.map(({ process }) => process))] }
  }
}

for (const method of METHODS) {
  t.test(method, async t => {
    const has = async (name: string, change: (fixture: Fixture) => void, expected: Record<string, number>) =>
      t.test(name, async t => {
        const fixture = new Fixture(t, method)
        const { seen, processes } = await fixture.noticed(() => change(fixture))
        for (const [what, kinds] of Object.entries(expected)) t.equal((seen[what] ?? 0) & kinds, kinds, what)
        // Of what this process itself does, users are told, too.
        t.same(processes, [method === 'fanotify' ? process.pid : 0])
      })

    await has('written to', ({ file }) => appendFileSync(file, 'x'), { '/file': BYTES, file: BYTES })
    await has('written to by another name', ({ link }) => appendFileSync(link, 'x'), { file: BYTES })
    await has('cut short', ({ link }) => truncateSync(link), { file: BYTES })
    await has('the mode', ({ link }) => chmodSync(link, 0o600), { file: ATTRIBUTES })
    await has('times', ({ link }) => utimesSync(link, 1, 1), { file: ATTRIBUTES })
    await has('another name', ({ link }) => linkSync(link, `${link}2`), { file: ATTRIBUTES })
    await has('a name less', ({ link }) => rmSync(link), { file: ATTRIBUTES })
    await has('removed', ({ file }) => rmSync(file), { '/file': NAMES, file: ATTRIBUTES })
    await has('moved', ({ file }) => renameSync(file, `${file}2`), { '/file': NAMES, '/file2': NAMES, file: PLACE })
    await has(
      'replaced',
      ({ file, directory }) => {
        writeFileSync(join(directory, 'new'), 'x')
        renameSync(join(directory, 'new'), file)
      },
      { '/new': NAMES, '/file': NAMES },
    )
    await has(
      'gone with its last name',
      ({ file, link }) => {
        rmSync(file)
        rmSync(link)
      },
      { file: PLACE },
    )
    await has('a directory that comes', ({ directory }) => mkdirSync(join(directory, 'd')), { '/d': NAMES })
    await has('the directory’s own mode', ({ directory }) => chmodSync(directory, 0o700), { '/': ATTRIBUTES })
    await has(
      'a name that is not UTF-8',
      ({ directory }) => writeFileSync(Buffer.from(`${directory}/\xff`, 'latin1'), ''),
      {
        '/\ufffd': NAMES,
      },
    )

    t.test('written to by a mapping: when it is unmapped', async t => {
      const fixture = new Fixture(t, method)
      const program = compile(
        fixture.elsewhere,
        'program',
        `
        #include <fcntl.h>
        #include <sys/mman.h>
        #include <unistd.h>
        int main(int argc, char **argv) {
          int fd = open(argv[1], O_RDWR);
          char *bytes = mmap(0, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
          close(fd);
          bytes[0] = 'w';
          return munmap(bytes, 5);
        }`,
      )
      const { seen } = await fixture.noticed(() => t.equal(spawnSync(program, [fixture.link]).status, 0))
      t.equal((seen.file ?? 0) & BYTES, BYTES)
    })

    t.test('more than the kernel keeps', async t => {
      const fixture = new Fixture(t, method)
      const watch = native.openWatch(method, () => {})
      t.teardown(() => native.closeWatch(watch))
      native.watchMany(watch, [fixture.directory], true)
      // fs.inotify.max_queued_events, fs.fanotify.max_queued_events; root's queue of fanotify has no end.
      const most = 16_384
      for (let i = 0; i < most / 2 + 100; i++) {
        const path = join(fixture.directory, `${i}`)
        writeFileSync(path, '')
        rmSync(path)
      }
      const { lost, changes } = native.takeChanges(watch)
      t.equal(lost, method === 'inotify' || process.geteuid?.() !== 0)
      t.ok(changes.length >= most, String(changes.length))
    })

    t.test('what cannot be watched is told by its errno', t => {
      const fixture = new Fixture(t, method)
      const link = join(fixture.elsewhere, 'symbolic')
      symlinkSync(fixture.directory, link)
      const { file, watch } = fixture
      t.same([...native.watchMany(watch, [`${file}/below`, join(fixture.elsewhere, 'none')], false)], [-20, -2])
      t.same([...native.watchMany(watch, [file, link], true)], [-20, -20], 'no directories')
      t.ok((native.watchMany(watch, [link], false)[0] as number) >= 0, 'the link itself')
      t.end()
    })

    t.test('nothing is called, and nothing open, when it is closed', async t => {
      const open = () =>
        readdirSync('/proc/self/fd')
          .map(fd => linkOf(fd))
          .filter(text => text.includes(`:${method === 'fanotify' ? '[fanotify]' : 'inotify'}`))
      const before = open().length
      const directory = temporaryDirectory()
      const watch = native.openWatch(method, () => t.fail('called'))
      native.watchMany(watch, [directory], true)
      t.equal(open().length, before + 1)
      native.closeWatch(watch)
      native.closeWatch(watch)
      writeFileSync(join(directory, 'file'), '')
      await new Promise(resolve => setImmediate(resolve))
      t.equal(open().length, before)
      t.throws(() => native.takeChanges(watch), { name: 'TypeError' })
      t.throws(() => native.watchMany(watch, [], true), { name: 'TypeError' })
    })
  })
}

t.test('wrong types are TypeErrors', async t => {
  const wrong = { name: 'TypeError' }
  const watch = native.openWatch('inotify', () => {})
  t.throws(() => native.openWatch('dnotify' as WatchMethod, () => {}), wrong)
  t.throws(() => native.openWatch('inotify', 'x' as never), wrong)
  t.throws(() => native.takeChanges({} as never), wrong)
  t.throws(() => native.closeWatch(1 as never), wrong)
  t.throws(() => native.watchMany(watch, 'x' as never, true), wrong)
  t.throws(() => native.watchMany(watch, ['a\0b'], true), wrong)
  t.throws(() => native.watchMany(watch, [], 1 as never), wrong)
  t.throws(() => native.sendDatagram('/x', 1 as never), wrong)
  native.closeWatch(watch)
})

/** Prints what is noticed of a change that another process makes. */
const SCRIPT = `
  const { createRequire } = require('module'), fs = require('fs'), { spawn } = require('child_process')
  const native = require(process.argv[1]), directory = process.argv[2], file = directory + '/file'
  fs.writeFileSync(file, '')
  let child
  const watch = native.openWatch('fanotify', () => {
    const all = native.takeChanges(watch).changes
    console.log(JSON.stringify(all.map(({ process }) => process === child.pid ? 'child' : process)))
    native.closeWatch(watch)
  })
  if (native.watchMany(watch, [file], false)[0] < 0) process.exit(1)
  child = spawn('/bin/sh', ['-c', 'echo x >>"$0"', file])`

forEachPerson((who, makeSite) =>
  t.test(`whose doing it is, ${who}`, async t => {
    const site: Site = makeSite()
    t.teardown(() => site.remove())
    const module = join(site.installation, 'build/Release/appc.node')
    const { stdout, stderr, status } = await site.command(process.execPath, ['-e', SCRIPT, module, site.home])
    t.match({ status, stderr }, { status: 0, stderr: '' })
    const told = site.user.uid === 0 ? 'child' : 0
    t.equal(stdout.trim(), JSON.stringify([told]))
  }),
)

t.test('what the kernel refuses is told with its step', t => {
  const code = `const { addon } = require('module'); try { require(process.argv[1]).openWatch(process.argv[2], () => {}) } catch (e) { console.log(e.code, e.step) }`
  const path = join(process.cwd(), 'build/Release/appc.node')
  const asked = (rule: string, method: WatchMethod) => {
    const [program, ...args] = [...refusing(rule), process.execPath, '-e', code, path, method]
    return spawnSync(program, args, { encoding: 'utf8' }).stdout
  }
  t.equal(asked('fanotify_init:ENOSYS', 'fanotify'), 'ENOSYS watchFiles\n')
  t.equal(asked('inotify_init1:EMFILE', 'inotify'), 'EMFILE watchFiles\n')
  t.end()
})

t.test('a datagram', async t => {
  const directory = temporaryDirectory()
  t.throws(() => native.sendDatagram(join(directory, 'none'), 'x'), { code: 'ENOENT', step: 'tellManager' })
  t.throws(() => native.sendDatagram('/'.repeat(200), 'x'), { code: 'EINVAL' })
  t.throws(() => native.sendDatagram('', 'x'), { code: 'EINVAL' })
})

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
  }
}
