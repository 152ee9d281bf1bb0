import t from 'tap'
import { symbolsOf } from '../../lib/host/described-symbols.js'
import { describeElfFiles } from '../../lib/host/elf-survey.js'
import { frontDecode } from '../../lib/host/front-coded.js'
import { Survey } from '../../lib/host/survey.js'
import { symbolsAt } from '../../lib/loader/content.js'
import { FactsCache } from '../../lib/loader/facts-cache.js'
import { file, hardLink, memoryFileSystem } from '../../lib/loader/memory-file-system.js'
import { library } from '../container/tree.js'
import { libraries, program } from '../decide/scenario.js'

const one = library('libone.so.1', 'int one(void) { return 1; }', 'ONE_1 { one; };')
const app = program('int one(void); int main(void) { return one(); }', { 'libone.so.1': one })

function described(tree: Parameters<typeof memoryFileSystem>[0]) {
  const fs = memoryFileSystem(tree)
  const survey = new Survey(fs)
  const ahead: string[] = []
  const found = describeElfFiles(fs, survey, new FactsCache(), paths => ahead.push(...paths))
  return { fs, survey, ahead, ...found }
}

t.test('facts and symbols of programs, plugins and libraries, each file once', async t => {
  const { fs, elf, strings, ahead } = described({
    '/usr/bin/app': file(app, 0o755),
    [`${libraries}/libone.so.1`]: one,
    [`${libraries}/libone.so`]: hardLink(`${libraries}/libone.so.1`),
    '/opt/app/plugin.so.0': one,
    '/opt/app/tool': file(app, 0o755),
    '/usr/share/app/text': file(Buffer.from('#!/bin/sh'), 0o755),
    '/usr/share/app/data': one,
  })
  t.same(elf.map(({ path }) => path).sort(), [
    '/opt/app/plugin.so.0',
    '/opt/app/tool',
    '/usr/bin/app',
    `${libraries}/libone.so.1`,
  ])
  for (const { path } of elf) t.ok(ahead.includes(path), `${path} is looked at with the others`)
  const names = frontDecode(strings) ?? []
  for (const { path, symbols, facts } of elf) {
    t.ok(facts?.dynamic)
    t.same(typeof symbols === 'string' ? symbols : symbolsOf(symbols, names), symbolsAt(fs, path), path)
  }
})

t.test('what is cut short says why; what is closed is noted', async t => {
  const { elf, survey } = described({
    [`${libraries}/libcut.so.1`]: one.subarray(0, 100),
    [`${libraries}/libclosed.so.1`]: file(one, 0o600),
  })
  t.match(elf, [{ path: `${libraries}/libcut.so.1`, facts: null, code: 'ELF_MALFORMED', symbols: /./ }])
  t.same(survey.result().closed, { [`${libraries}/libclosed.so.1`]: 'EACCES' })
})
