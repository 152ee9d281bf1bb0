import { execFileSync } from 'node:child_process'
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { AppcError } from '../../lib/errors.js'
import { replaceFile } from '../../lib/store/replace-file.js'

t.test('a file is replaced as a whole, with its mode', async t => {
  const home = t.testdir({ out: 'a long text' })
  replaceFile(join(home, 'out'), 'short', 0o600)
  t.equal(readFileSync(join(home, 'out'), 'utf8'), 'short')
  t.equal(lstatSync(join(home, 'out')).mode & 0o777, 0o600)
  const longest = 'x'.repeat(255)
  replaceFile(join(home, longest), '', 0o644)
  t.same(readdirSync(home), ['out', longest])
})

t.test('what is no file stays, and whatever fails is said in words', async t => {
  const home = t.testdir({ directory: {}, file: '' })
  execFileSync('mkfifo', [join(home, 'pipe')])
  const cases = {
    [home]: /is a directory/,
    '/': /is a directory/,
    [join(home, 'pipe')]: /no regular file/,
    '/dev/null': /^it is no regular file$/,
    [join(home, 'none/out')]: /its directory does not exist/,
    [join(home, 'file/out')]: /no directory/,
    [join(home, 'x'.repeat(256))]: /name is too long/,
    '/proc/x': /takes no files/,
  }
  for (const [path, because] of Object.entries(cases)) {
    const error = refusalOf(path)
    t.match(error, { code: 'OUTPUT_UNWRITABLE', message: `${path} cannot be written`, because, hint: String }, path)
  }
  t.same(readdirSync(home).sort(), ['directory', 'file', 'pipe'])
  t.ok(lstatSync(join(home, 'pipe')).isFIFO())
})

function refusalOf(path: string): AppcError {
  try {
    replaceFile(path, 'x', 0o644)
  } catch (error) {
    if (error instanceof AppcError) return error
    throw error
  }
  throw new Error(`${path} was written`)
}
