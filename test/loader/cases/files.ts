import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { resolveGraph } from '../../../lib/loader/resolve.js'
import { library } from '../../../lib/testing/index.js'
import { compile } from '../../support/fixtures.js'
import { compare, EVERY_VERSION, HERE, hows, judge, NEW } from '../../support/judge.js'
import { LoaderFixtures, rpath } from '../../support/loader-fixtures.js'
import { HOST_LOADER, parseTrace } from '../../support/oracle.js'

/** What the loader makes of the file that it found: loads it, passes over it, or ends the program. */
const fixtures = new LoaderFixtures()
const { dir } = fixtures

/** A program whose library is first looked for in bad/, then in good/. */
fixtures.named('good/libw.so')
const bad = join(dir, 'bad/libw.so')
mkdirSync(dirname(bad))
const program = fixtures.program('program', ['good/libw.so'], [rpath(`${dir}/bad:${dir}/good`)])
const whole = readFileSync(join(dir, 'good/libw.so'))

/** Puts the library into bad/ with some bytes changed. */
function patch(changes: Readonly<Record<number, number>>): void {
  const bytes = Buffer.from(whole)
  for (const [offset, byte] of Object.entries(changes)) bytes[Number(offset)] = byte
  writeFileSync(bad, bytes)
}

/** From which of the two it is loaded, by us and the loader alike; null where the program ends. */
function loadedFrom(tap: Parameters<typeof judge>[0]): string | null {
  const { objects, problems } = judge(tap, program)
  if (problems.some(({ kind }) => kind === 'unusable')) return null
  return objects[1]?.path === bad ? 'bad' : 'good'
}

t.test('rule 8, case 28: a library for another machine or class is passed over', async t => {
  for (const [what, changes] of Object.entries({
    'another machine': { 18: 183 },
    'another class': { 4: 1 },
    'another class, and then nothing else counts': { 4: 1, 5: 2, 7: 9, 16: 1 },
    'another machine, before its type counts': { 18: 183, 16: 1 },
    'no class that there is': { 4: 7, 20: 2 },
    'another machine, whatever else its identification says': { 18: 183, 5: 9, 6: 2, 7: 9, 8: 1, 12: 1, 20: 2 },
    "another machine, as it reads in the loader's own byte order": { 5: 2, 18: 0, 19: 62 },
  })) {
    patch(changes)
    t.equal(loadedFrom(t), 'good', what)
  }
  writeFileSync(bad, library({ class: 64, data: 'big', machine: 22 }))
  t.equal(loadedFrom(t), 'good', 'a library for s390x')
  for (const machine of ['i386', 'x32'] as const) {
    fixtures.named('bad/libw.so', [], [], machine)
    t.equal(loadedFrom(t), 'good', `a twin for ${machine}`)
  }
  const search = [...new Set(judge(t, program).edges.find(({ name }) => name === 'libw.so')?.tried)]
  t.ok(search.includes(bad), 'the twin is told of')
})

t.test('rule 8: what is not there or cannot be opened is passed over', async t => {
  const place = (how: string) => join(dir, how, 'libw.so')
  for (const how of ['dangling', 'closed', 'closed-directory', 'loop']) mkdirSync(join(dir, how))
  symlinkSync('nowhere', place('dangling'))
  copyFileSync(join(dir, 'good/libw.so'), place('closed'))
  copyFileSync(join(dir, 'good/libw.so'), place('closed-directory'))
  chmodSync(place('closed'), 0)
  chmodSync(join(dir, 'closed-directory'), 0)
  symlinkSync('libw.so', place('loop'))
  for (const [how, found] of [
    ['absent', 'runpath'],
    ['dangling', 'runpath'],
    ['closed', 'runpath'],
    ['closed-directory', 'runpath'],
    ['loop', 'not-found'],
  ] as const) {
    const file = fixtures.program(`asks-${how}`, ['good/libw.so'], [rpath(`${dir}/${how}:${dir}/good`)])
    t.equal(asUser(t, file), found, how)
  }
  chmodSync(join(dir, 'closed-directory'), 0o711)
  const file = fixtures.program('asks-unlisted', ['good/libw.so'], [rpath(`${dir}/closed-directory`)])
  t.equal(asUser(t, file), 'runpath', 'a directory that may be searched, though not listed')
})

/** Root can open everything: both answers are a plain user's. */
function asUser(tap: Parameters<typeof judge>[0], file: string): string | undefined {
  const root = process.geteuid?.() === 0
  const uid = 54_321
  if (root) chmodSync(dir, 0o755)
  if (root) process.seteuid?.(uid)
  const graph = resolveGraph(HERE.fs(), file, { cpuLevel: 0, libraryPath: [], preload: [] })
  if (root) process.seteuid?.(0)
  const run = spawnSync(HOST_LOADER, [file], {
    env: { LD_TRACE_LOADED_OBJECTS: '1' },
    encoding: 'utf8',
    ...(root ? { uid, gid: uid } : {}),
  })
  const answer = { libraries: parseTrace(run.stdout), status: run.status ?? -1, stderr: run.stderr }
  compare(tap, 'as a user', graph, answer, '/')
  return hows(graph)['libw.so']
}

t.test('rule 8: a loop of links ends its list, and the next list is searched', async t => {
  fixtures.named('next/libw.so')
  const file = fixtures.program('loops', ['good/libw.so'], [rpath(`${dir}/loop:${dir}/good`)])
  t.equal(hows(judge(t, file))['libw.so'], 'not-found')
  t.equal(hows(judge(t, file, { libraryPath: `${dir}/loop:${dir}/good` }))['libw.so'], 'not-found')
  t.equal(hows(judge(t, file, { libraryPath: `${dir}/good:${dir}/loop` }))['libw.so'], 'ld-library-path')
  const young = fixtures.program('loops-later', ['good/libw.so'], [rpath(`${dir}/next`)])
  t.equal(hows(judge(t, young, { libraryPath: `${dir}/loop:${dir}/good` }))['libw.so'], 'runpath')
})

t.test('rule 8: a name that leads through what is no directory ends its list until 2.38', async t => {
  mkdirSync(join(dir, 'through'))
  symlinkSync('../good/libw.so/deeper', join(dir, 'through/libw.so'))
  const file = fixtures.program('leads-through', ['good/libw.so'], [rpath(`${dir}/through:${dir}/good`)])
  for (const by of EVERY_VERSION) {
    t.equal(hows(judge(t, file, {}, [by]))['libw.so'], by === NEW ? 'runpath' : 'not-found', by.what)
  }
})

t.test('rule 8, case 49: what ends the program instead of being passed over', async t => {
  const spoil: Record<string, () => void> = {
    'a linker script': () => writeFileSync(bad, '/* GNU ld script */\nINPUT(libw.so.1)\n'.padEnd(100)),
    'a short linker script': () => writeFileSync(bad, 'INPUT(libw.so.1)\n'),
    'an empty file': () => writeFileSync(bad, ''),
    'a header cut short': () => writeFileSync(bad, whole.subarray(0, 63)),
    'a header of the other class cut short': () => writeFileSync(bad, library({ class: 32 }).subarray(0, 63)),
    'a header and no more': () => writeFileSync(bad, whole.subarray(0, 64)),
    'another magic number': () => patch({ 1: 0x65 }),
    'another data encoding': () => patch({ 5: 2 }),
    'another version in its identification': () => patch({ 6: 2 }),
    'another OS ABI': () => patch({ 7: 9 }),
    'another ABI version': () => patch({ 8: 1 }),
    'an ABI version that GNU does not have': () => patch({ 7: 3, 8: 4 }),
    'padding that is not zero': () => patch({ 12: 1 }),
    'another version': () => patch({ 20: 2 }),
    'another version, before its machine counts': () => patch({ 18: 183, 20: 2 }),
    'a relocatable file': () => patch({ 16: 1 }),
    'a core file': () => patch({ 16: 4 }),
    'a program at a fixed address': () => patch({ 16: 2 }),
    'a position-independent program': () => copyFileSync(program, bad),
    'program headers of another size': () => patch({ 54: 57 }),
    'no program headers': () => patch({ 56: 0 }),
    'program headers outside the file': () => patch({ 37: 0xff }),
    'too many program headers': () => patch({ 57: 0xff }),
    'no dynamic section': () => patch({ [segments(2)[0] as number]: 0x7f }),
    'no loaded segments': () => patch(Object.fromEntries(segments(1).map(at => [at, 0x7f]))),
  }
  for (const [what, how] of Object.entries(spoil)) {
    how()
    t.equal(loadedFrom(t), null, what)
  }
})

t.test('rule 8, case 49: what is odd and yet loaded', async t => {
  const odd: Record<string, () => void> = {
    'no section headers': () => patch({ 40: 0, 41: 0, 60: 0, 62: 0 }),
    'section headers outside the file': () => patch({ 42: 0xff }),
    'the OS ABI of GNU': () => patch({ 7: 3 }),
    'the OS ABI of GNU with an ABI version': () => patch({ 7: 3, 8: 3 }),
    'odd flags': () => patch({ 48: 0xff }),
    'another header size': () => patch({ 52: 0 }),
    'another entry point': () => patch({ 24: 0xff, 25: 0xff }),
  }
  for (const [what, how] of Object.entries(odd)) {
    how()
    t.equal(loadedFrom(t), 'bad', what)
  }
})

/*
 * The loader maps what is there. A page that is not is the end of it by a signal; the rest of the last page reads as zeros, so
 * that a cut shortly before the dynamic section leaves one that asks for nothing. Such a file is unusable to us.
 */
t.test('case 49: truncated anywhere', async t => {
  const [dynamic] = segments(2) as [number]
  const start = Number(whole.readBigUInt64LE(dynamic + 8))
  const page = start - (start % 4096)
  const end = start + Number(whole.readBigUInt64LE(dynamic + 32))
  const cut = (length: number) => {
    patch({})
    truncateSync(bad, length)
  }
  for (const [first, last, from] of [
    [0, page - 4096, null],
    [end, whole.length, 'bad'],
  ] as const) {
    for (let index = 0; index < 8; index++) {
      cut(first + Math.floor(((last - first) * index) / 8))
      t.equal(loadedFrom(t), from)
    }
  }
  cut(start)
  const { problems } = resolveGraph(HERE.fs(), program, { cpuLevel: 0, libraryPath: [], preload: [] })
  t.match(problems, [{ kind: 'unusable', path: bad }])
})

/** File offsets of the program headers of one type. */
function segments(type: number): number[] {
  const start = Number(whole.readBigUInt64LE(32))
  return Array.from({ length: whole.readUInt16LE(56) }, (_, index) => start + index * 56).filter(
    at => whole.readUInt32LE(at) === type,
  )
}

t.test('case 31: a note for another system counts until 2.36', async t => {
  const file = fixtures.program('noted', ['good/libw.so'], [rpath(`${dir}/note:${dir}/good`)])
  for (const [what, words] of [
    ['another system', '1, 2, 6, 32'],
    ['this one', '0, 3, 2, 0'],
  ] as const) {
    const note = `__asm__(".pushsection .note.ABI-tag,\\"a\\",@note; .align 4; .long 4, 16, 1; .asciz \\"GNU\\"; .long ${words}; .popsection");`
    compile(dir, 'note/libw.so', note, ['-shared', '-fPIC', '-nostdlib', '-Wl,-soname,libw.so'])
    t.equal(judge(t, file).objects.length, 3, what)
  }
})

t.test('case 34: static programs, static-PIE too, have no loader', async t => {
  for (const flags of [['-static'], ['-static-pie', '-fPIE']]) {
    const file = compile(dir, 'static', 'int main(void) { return 7; }', flags)
    t.equal(
      spawnSync(file, { env: { LD_PRELOAD: '/nowhere/libno.so' }, encoding: 'utf8' }).stderr,
      '',
      'nothing is preloaded',
    )
    const graph = resolveGraph(HERE.fs(), file, { cpuLevel: 0, libraryPath: [], preload: ['/nowhere/libno.so'] })
    t.match(graph, { loader: null, edges: [], problems: [] })
    t.equal(spawnSync(file, { env: { LD_TRACE_LOADED_OBJECTS: '1' } }).status, 7, 'nor is anybody there to trace')
  }
  fixtures.named('lone/liblone.so')
  t.match(judge(t, join(dir, 'lone/liblone.so')).objects, { length: 2 }, 'a library that needs nothing is not static')
})
