import t from 'tap'
import { Survey } from '../../lib/host/survey.js'
import { directory, file, hardLink, memoryFileSystem, symlink } from '../../lib/loader/memory-file-system.js'

const text = Buffer.from('text')

t.test("the system's own directories, and nothing of its users' or its state", async t => {
  const survey = new Survey(
    memoryFileSystem({
      '/bin': symlink('usr/bin'),
      '/usr/bin/one': file(text, 0o4755),
      '/usr/bin/__proto__': text,
      '/usr/lib/deep/er/lib.so': text,
      '/etc/passwd': text,
      '/home/user/secret': text,
      '/var/lib/one/state': text,
      '/var/lib/two/state': text,
    }),
  )
  survey.add('/var/lib/one/state')
  survey.add('/var/lib/three')
  survey.add('/bin/one')
  const { directories } = survey.result()
  const paths = directories.flatMap(({ path, files, links }) =>
    [...Object.keys(files), ...Object.keys(links)].map(name => `${path === '/' ? '' : path}/${name}`),
  )
  t.same(paths.sort(), [
    '/bin',
    '/etc/passwd',
    '/usr/bin/__proto__',
    '/usr/bin/one',
    '/usr/lib/deep/er/lib.so',
    '/var/lib/one/state',
  ])
  t.ok(directories.some(({ path }) => path === '/home'))
  t.same(directories.find(({ path }) => path === '/usr/bin')?.files.one, [4, 0o4755])
  t.same(
    [...survey.files()].find(([path]) => path === '/usr/bin/one'),
    ['/usr/bin/one', 0o4755],
  )
})

t.test('hard links', async t => {
  const survey = new Survey(
    memoryFileSystem({ '/usr/lib/a': text, '/usr/lib/b': hardLink('/usr/lib/a'), '/usr/lib/c': text }),
  )
  t.same(survey.result().sameFiles, [['/usr/lib/a', '/usr/lib/b']])
})

t.test('what this user may not look into', async t => {
  const survey = new Survey(memoryFileSystem({ '/usr/closed': directory(0o700), '/usr/closed/file': text }))
  t.same(survey.result().closed, { '/usr/closed': 'EACCES' })
})
