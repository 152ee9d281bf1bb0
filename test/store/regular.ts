import { execFileSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { readRegular } from '../../lib/store/regular.js'
import { temporaryDirectory } from '../support/fixtures.js'

t.test('regular files up to the cap', async t => {
  const path = join(t.testdir({}), 'file')
  writeFileSync(path, 'four')
  t.equal(readRegular(path, 4, '').toString(), 'four')
  t.throws(() => readRegular(path, 3, 'do this'), { code: 'STORE_CORRUPT', because: /4 bytes/, hint: 'do this' })
  writeFileSync(path, '')
  t.equal(readRegular(path, 0, '').length, 0)
  t.throws(() => readRegular(`${path}x`, 4, ''), { code: 'ENOENT' })
})

t.test('anything else is refused at once', async t => {
  // Not below the project: a socket's path has no more than 107 bytes.
  const directory = temporaryDirectory()
  const at = (name: string) => join(directory, name)
  execFileSync('mkfifo', [at('fifo')])
  mkdirSync(at('directory'))
  writeFileSync(at('file'), 'x')
  symlinkSync('file', at('link'))
  const server = createServer().listen(at('socket'))
  t.teardown(() => server.close())
  for (const name of ['fifo', 'directory', 'link', 'socket'])
    t.throws(
      () => readRegular(at(name), 1 << 20, 'do this'),
      { code: 'STORE_CORRUPT', because: 'it is not a regular file', hint: 'do this' },
      name,
    )
  t.throws(() => readRegular('/dev/zero', 1 << 20, ''), { code: 'STORE_CORRUPT' })
})
