import { mkdirSync, statSync, symlinkSync } from 'node:fs'
import t from 'tap'
import { type PlanSubject, planKey } from '../../lib/plan/file.js'
import { makeTree, Sandbox, users } from './fixture.js'

// The launcher looks for the file that Node writes: both must come to the same name. The launcher's is seen in what it
// asks Node for.
for (const [who, user] of users) {
  t.test(`the launcher and planKey() agree, and the request is whole, as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    makeTree(sandbox.directory, { 'tree/usr/bin/inside': 'x', program: 'x', 'lib ä': null })
    symlinkSync('program', sandbox.path('link'))
    mkdirSync(sandbox.path('tree/etc'))
    const program = sandbox.path('program')
    const library = sandbox.path('lib ä')
    const tree = sandbox.path('tree')
    const root = statSync(tree, { bigint: true })
    const environment = { LD_PRELOAD: '/ä b.so', GLIBC_TUNABLES: 'x=y', LD_AUDIT: '' }
    const container: PlanSubject = { kind: 'container', subject: 'name', libraryDirectories: [], root: null }
    const plain: PlanSubject = { kind: 'program', subject: program, libraryDirectories: [], root: null }
    const cases: readonly (readonly [
      readonly string[],
      PlanSubject,
      Readonly<Record<string, string>>,
      readonly string[],
    ])[] = [
      [['name'], container, {}, []],
      [['name/-entry', '-x', '--', 'y'], container, {}, ['--entry=-entry']],
      [['name'], container, environment, []],
      [['--root', 'tree', 'name'], { ...container, root }, environment, [`--root=${tree}`]],
      [['./link'], plain, {}, []],
      [
        ['--lib=lib ä', '--lib', '/', './program'],
        { ...plain, libraryDirectories: [library, '/'] },
        {},
        [`--lib=${library}`, '--lib=/'],
      ],
      [['--root=tree', './program'], { ...plain, root }, environment, [`--root=${tree}`]],
      [
        ['--root=tree', '/usr/bin/inside'],
        { ...plain, subject: `${tree}/usr/bin/inside`, root },
        {},
        [`--root=${tree}`],
      ],
    ]
    for (const [args, subject, env, options] of cases) {
      const [round, script, ...asked] = sandbox.run(args, { env }).stdout.split('\n')
      t.match(round, /^1:[0-9a-f]+:[0-9,]*$/)
      t.equal(script, sandbox.path('installation/dist/bin/appc/replan.js'))
      t.same(
        asked,
        [
          `--key=${planKey(subject, env)}`,
          `--store=${sandbox.store}`,
          `--kind=${subject.kind}`,
          `--subject=${subject.subject}`,
          ...options,
          `--exe=${sandbox.launcher}`,
          '--',
          sandbox.launcher,
          ...args,
          '',
        ],
        args.join(' '),
      )
    }
  })
}
