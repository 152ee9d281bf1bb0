import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Looks } from '../../lib/loader/looks.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import { temporaryDirectory } from '../support/fixtures.js'

t.test('whatever was looked at may change; what was not is no matter', async t => {
  const changes: Readonly<Record<string, (root: string) => void>> = {
    'a file is written to': root => utimesSync(join(root, 'file'), 1, 1),
    'a file is replaced': root => renameSync(join(root, 'other'), join(root, 'file')),
    'a file goes': root => rmSync(join(root, 'file')),
    'one comes': root => writeFileSync(join(root, 'none'), ''),
    'a link leads elsewhere': root => {
      symlinkSync('other', join(root, 'new'))
      renameSync(join(root, 'new'), join(root, 'link'))
    },
    'a name in a directory that was read': root => writeFileSync(join(root, 'directory/name'), ''),
    'a file that was opened, but not looked at': root => utimesSync(join(root, 'opened'), 1, 1),
  }
  for (const [what, change] of Object.entries(changes)) {
    const root = temporaryDirectory()
    for (const name of ['file', 'other', 'opened']) writeFileSync(join(root, name), '')
    symlinkSync('file', join(root, 'link'))
    mkdirSync(join(root, 'directory'))
    const looks = new Looks()
    const fs = looks.through(rootFileSystem(root))
    for (const path of ['/file', '/none', '/link']) fs.lstat(path)
    for (const path of ['/', '/directory']) fs.lstat(path)
    fs.readdir('/directory')
    fs.open('/opened').close()
    writeFileSync(join(root, 'unseen'), '')
    t.notOk(looks.haveChanged(), 'a name that is no matter')
    change(root)
    t.ok(looks.haveChanged(), what)
    t.notOk(looks.haveChanged(['/unseen', '/never']), 'among others')
  }
})

t.test('it is the first look that counts, of each file system', async t => {
  const [one, two] = [temporaryDirectory(), temporaryDirectory()]
  const looks = new Looks()
  const [first, second] = [looks.through(rootFileSystem(one)), looks.through(rootFileSystem(two))]
  t.equal(first.lstat('/file'), null)
  writeFileSync(join(one, 'file'), '')
  t.not(first.lstat('/file'), null)
  t.ok(looks.haveChanged(['/file']))
  t.not(second.lstat('/'), null)
  rmSync(join(one, 'file'))
  t.notOk(looks.haveChanged(['/file']))
})
