import { createHash } from 'node:crypto'
import t from 'tap'
import { sha256At, symbolsAt } from '../../lib/loader/content.js'
import { memoryFileSystem } from '../../lib/loader/memory-file-system.js'
import { library } from '../container/tree.js'

const one = library('libone.so.1', 'int one(void) { return 1; }')
const fs = memoryFileSystem({ '/one': one, '/text': Buffer.from('text') })

t.test('from the bytes', async t => {
  t.same(symbolsAt(fs, '/one').exports, [{ name: 'one' }])
  t.throws(() => symbolsAt(fs, '/text'), { code: 'ELF_NOT' })
  const long = Buffer.alloc(200_000, 'x')
  const digest = createHash('sha256').update(long).digest('hex')
  t.equal(sha256At(memoryFileSystem({ '/long': long }), '/long'), digest)
})

t.test('or as the file system knows it', async t => {
  const none = { imports: [], exports: [] }
  const known = { ...fs, symbols: () => none, sha256: () => 'digest' }
  t.equal(symbolsAt(known, '/text'), none)
  t.equal(sha256At(known, '/text'), 'digest')
})
