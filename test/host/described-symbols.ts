import t from 'tap'
import { areSound, describeSymbols, symbolsOf } from '../../lib/host/described-symbols.js'
import { symbolsAt } from '../../lib/loader/content.js'
import { resolvePath } from '../../lib/loader/file-system.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'

const fs = rootFileSystem('/')
const real = (path: string) => resolvePath(fs, path).path as string

t.test('symbols of real files come back as they were, in order', async t => {
  const names: string[] = []
  const number = (name: string) => names.push(name) - 1
  for (const path of ['/lib/x86_64-linux-gnu/libc.so.6', '/usr/bin/perl', process.execPath].map(real)) {
    const symbols = symbolsAt(fs, path)
    const described = describeSymbols(symbols, number)
    t.ok(areSound(described, names.length), path)
    t.same(symbolsOf(JSON.parse(JSON.stringify(described)), names), symbols, path)
  }
})

t.test('numbers that stand for nothing', async t => {
  t.ok(areSound({ kinds: [{}], imports: [0, 0], exports: [] }, 1))
  t.notOk(areSound({ kinds: [{}], imports: [1, 0], exports: [] }, 1))
  t.notOk(areSound({ kinds: [{}], imports: [], exports: [0, 1] }, 1))
  t.notOk(areSound({ kinds: [{}], imports: [0], exports: [] }, 1))
})
