import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { compile } from '../support/fixtures.js'
import { forEachPerson, type Site } from '../support/site.js'
import { LIBRARIES, makeSmallTree } from '../support/small-tree.js'

/** Everything in it but `good` cannot be packed, each for its own reason. */
function makeTree(tree: string): void {
  makeSmallTree(tree)
  const bin = (name: string) => join(tree, 'usr/bin', name)
  const program = 'int main(void) { return 0; }'
  const using = (soname: string) => {
    const library = compile(tree, `${LIBRARIES}/${soname}`, 'int f(void) { return 0; }', [
      '-shared',
      '-fPIC',
      `-Wl,-soname,${soname}`,
    ])
    compile(tree, `usr/bin/with-${soname}`, 'int f(void); int main(void) { return f(); }', [library])
    return library
  }
  compile(tree, 'usr/bin/good', program)
  compile(tree, `${LIBRARIES}/libplain.so`, 'int f(void) { return 0; }', ['-shared', '-fPIC'])
  rmSync(using('libgone.so.1'))
  truncateSync(using('libcut.so.1'), 700)
  writeFileSync(using('libtext.so.1'), 'INPUT(libelsewhere.so.1)\n')

  copyFileSync(bin('good'), bin('cut'))
  truncateSync(bin('cut'), 700)
  copyFileSync(bin('good'), bin('stub'))
  truncateSync(bin('stub'), 30)
  const foreign = readFileSync(bin('good'))
  foreign.writeUInt16LE(183, 18) // e_machine: EM_AARCH64
  writeFileSync(bin('foreign'), foreign, { mode: 0o755 })
  writeFileSync(bin('text'), 'no program\n', { mode: 0o755 })
  writeFileSync(bin('empty'), '', { mode: 0o755 })
  writeFileSync(bin('lost'), '#!/nonexistent/interpreter\n', { mode: 0o755 })
  copyFileSync(bin('good'), bin('plain'))
  chmodSync(bin('plain'), 0o644)
  mkdirSync(bin('directory'))
  symlinkSync('/usr/bin/nothing', bin('dangling'))
  symlinkSync('circle', bin('circle'))
}

/** What one command answers to bad input: the code, and the exit status. */
type Answer = readonly [code: string, status: number]

forEachPerson((who, makeSite) =>
  t.test(`bad input, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const tree = join(site.directory, 'tree')
    makeTree(tree)
    const file = join(site.directory, 'file')
    writeFileSync(file, '')
    await site.pack(tree, 'good', 'good')
    const before = site.listing()

    const answers = (name: string, cases: readonly (readonly [args: readonly string[], ...Answer])[]) =>
      t.test(name, async t => {
        for (const [args, code, status] of cases) await refuses(t, site, args, [code, status])
        t.same(site.listing(), before, 'nothing is left in the store')
      })
    const packing = (entry: string, ...rest: string[]) => ['pack', '--root', tree, '--name', 'new', entry, ...rest]

    await answers('pack: entries', [
      [packing('text'), 'ENTRY_INVALID', 1],
      [packing('empty'), 'ENTRY_INVALID', 1],
      [packing('stub'), 'ELF_MALFORMED', 1],
      [packing('cut'), 'ELF_MALFORMED', 1],
      [packing('foreign'), 'ELF_FOREIGN', 1],
      [packing('with-libgone.so.1'), 'LIBRARY_MISSING', 1],
      [packing('with-libcut.so.1'), 'LIBRARY_MISSING', 1],
      [packing('with-libtext.so.1'), 'LIBRARY_MISSING', 1],
      [packing('lost'), 'FILE_MISSING', 1],
      [packing('plain'), 'FILE_MISSING', 1],
      [packing('/usr/bin/plain'), 'ENTRY_INVALID', 1],
      [packing('/usr/bin/directory'), 'ENTRY_INVALID', 1],
      [packing(`${LIBRARIES}/libplain.so`), 'ENTRY_INVALID', 1],
      [packing('/etc/ld.so.conf'), 'ENTRY_INVALID', 1],
      [packing('nothing'), 'FILE_MISSING', 1],
      [packing('/usr/bin/nothing'), 'FILE_MISSING', 1],
      [packing('dangling'), 'FILE_MISSING', 1],
      [packing('circle'), 'FILE_MISSING', 1],
      [packing('good', 'text'), 'ENTRY_INVALID', 1],
      [packing('good', '--include', '/nothing'), 'FILE_MISSING', 1],
    ])

    await answers('pack: names and roots', [
      ...['a/b', '..', '.', '../x', '/x', '', 'Upper', '.hidden', 'a b', 'x'.repeat(129), 'ä', '\u001b[31m'].map(
        name => [['pack', '--root', tree, '--name', name, 'good'], 'NAME_INVALID', 2] as const,
      ),
      [['pack', '--root', file, '--name', 'new', 'good'], 'ROOT_INVALID', 2],
      [['pack', '--root', `${file}/below`, '--name', 'new', 'good'], 'ROOT_INVALID', 2],
      [['pack', '--root', '/nonexistent', '--name', 'new', 'good'], 'ROOT_INVALID', 2],
    ])

    for (const command of ['plan', 'remove']) {
      await answers(command, [
        [[command, 'goof'], 'CONTAINER_UNKNOWN', 1],
        ...['a/b', '..', '../refs/good', '', 'Upper'].map(name => [[command, name], 'NAME_INVALID', 2] as const),
      ])
    }
    await answers('plan: roots', [
      [['plan', '--root', file, 'good'], 'ROOT_INVALID', 2],
      [['plan', '--root', '/nonexistent', 'good'], 'ROOT_INVALID', 2],
    ])

    await answers('tree', [
      [['tree', '--root', tree, '/usr/bin/text'], 'ELF_NOT', 1],
      [['tree', '--root', tree, '/usr/bin/stub'], 'ELF_MALFORMED', 1],
      [['tree', '--root', tree, '/usr/bin/cut'], 'ELF_MALFORMED', 1],
      [['tree', '--root', tree, '/usr/bin/nothing'], 'FILE_MISSING', 1],
      [['tree', '--root', file, '/usr/bin/good'], 'ROOT_INVALID', 2],
    ])

    t.test('as text: one line, then a hint; control characters are escaped', async t => {
      for (const args of [packing('text'), packing('with-libgone.so.1'), packing('\u001b[31m'), ['plan', 'goof']]) {
        const ran = await site.appc(...args)
        t.match(ran, { status: 1, stdout: '', stderr: /^appc: [ -~]+\n(\nhint: [ -~]+\n)?$/ }, `${args.at(-1)}`)
      }
    })

    t.test('the container is as it was', async t => {
      t.match(await site.run(['good']), { status: 0, stdout: '', stderr: '' })
      t.match(await site.appc('list'), { status: 0, stdout: /^good [^\n]*\n$/ })
    })
  }),
)

async function refuses(t: Test, site: Site, args: readonly string[], [code, status]: Answer): Promise<void> {
  const { stderr, ...ran } = await site.appc(...args, '--json')
  const shown = args.join(' ').replaceAll(site.directory, '')
  t.match(ran, { status, stdout: '' }, shown)
  const error = JSON.parse(stderr)
  t.match(error, { schema: 'appc.error/1', code, message: /./ }, shown)
  // What is wrong with a file that is only looked at is all that there is to say.
  if (args[0] !== 'tree') t.ok(error.cause !== null || error.hint !== null, `${shown}: a cause or a hint`)
}
