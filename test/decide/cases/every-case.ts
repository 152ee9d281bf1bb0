import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

/** What it is about; where it is tested, the number in a test's title; and what cannot be shown there, or anywhere. */
type Case = readonly [what: string, files: readonly string[], because?: string]

/*
 * The edge cases of mixing two systems' libraries, as far as they concern deciding: each is decided on compiled fixtures, the mix runs
 * as a container, and the choice that was refused is made by hand, to fail under the real loader. How the loader finds files in
 * these cases is in test/loader/cases.
 */
const CASES: Readonly<Record<number, Case>> = {
  1: ['a missing version', ['decide/constraints']],
  2: ['the version there, a symbol missing', ['decide/constraints']],
  3: ['the same soname, other versions altogether', ['decide/constraints', 'decide/cases/versions']],
  4: ['a library without versions, a reference with one', ['decide/constraints']],
  5: ['a library with versions, a reference without', ['decide/constraints', 'decide/cases/versions']],
  6: ['a new symbol without a version', ['decide/constraints']],
  7: ['a version needed weakly', ['decide/constraints']],
  8: ['a weak reference', ['decide/constraints']],
  9: ['hidden and default versions', ['decide/cases/versions']],
  10: ['a symbol from another library than the one named', ['decide/constraints']],
  11: ['file names that tie', ['decide/cases/versions']],
  12: ['file names that mislead', ['decide/cases/versions']],
  13: ['a library in two releases, wanted by both sides', ['decide/cases/whole']],
  14: ['a cycle', ['decide/cases/whole']],
  15: ['a lockstep pair, one of them packed', ['decide/cases/family', 'decide/families']],
  16: ['a newer C library in the container', ['decide/families']],
  17: ['an older C library in the container', ['decide/cases/family']],
  18: ['threads moved into the C library, both ways', ['decide/cases/family']],
  19: ['GLIBC_ABI_DT_RELR', ['decide/cases/family']],
  20: ['libcrypt.so.1 of the C library or of its own', ['decide/cases/family', 'decide/families']],
  21: ['a private libstdc++, and a plugin of the host’s that wants a newer one', ['decide/cases/neighbours']],
  22: ['RPATH against RUNPATH', ['decide/cases/names']],
  23: ['tokens, and a program started by a link', ['decide/cases/names']],
  24: ['an absolute NEEDED', ['decide/cases/names']],
  25: ['a file name that is not the soname', ['decide/cases/names']],
  26: ['alternatives and chains of links', ['decide/cases/host', 'decide/placement']],
  27: ['merged and split /usr', ['decide/cases/host', 'decide/placement']],
  28: ['i386 and x32 twins', ['decide/cases/names']],
  29: ['a glibc-hwcaps twin', ['decide/cases/host', 'decide/placement']],
  30: ['a stale cache, or none', ['decide/cases/host', 'decide/placement']],
  31: [
    'the ABI note',
    ['decide/cases/host'],
    'glibc passes such a library over until 2.36; a newer loader refuses nothing',
  ],
  32: ['NODEFLIB', ['decide/cases/host']],
  33: ['a musl program on a glibc host', ['decide/cases/host']],
  34: ['static programs', ['decide/cases/runtime'], 'there is no library that could be chosen otherwise'],
  35: ['dlopen by soname, by a path, of a bare .so', ['decide/cases/runtime']],
  36: ['modules of the name service', ['decide/cases/neighbours', 'system/neighbours']],
  37: ['modules for character sets', ['decide/cases/runtime', 'system/neighbours']],
  38: ['a locale archive', ['decide/cases/runtime', 'system/neighbours']],
  39: ['a cache of loaders', ['decide/cases/runtime']],
  40: ['a program of the host’s as a child', ['decide/cases/neighbours']],
  41: ['preloads', ['decide/cases/whole']],
  42: [
    'setuid and capabilities',
    ['decide/cases/runtime'],
    'such bits are not packed, so no choice of libraries depends on them',
  ],
  43: [
    'an executable stack',
    ['decide/cases/host'],
    'what a program needs may have one with every loader, whichever copy it is; glibc 2.41 refuses it in dlopen() alone',
  ],
  44: [
    'static TLS in dlopen',
    ['decide/cases/runtime'],
    'how much of it is left at a dlopen() only the running process knows, so neither copy can be refused beforehand',
  ],
  45: ['a copy relocation whose size changed', ['decide/constraints']],
  46: ['a library renamed over while it is covered', ['decide/cases/runtime']],
  47: ['a half-upgraded host', ['decide/cases/host']],
  48: [
    'user namespaces refused',
    ['system/launch'],
    'it does not concern deciding: it is the kernel that refuses the launch, whatever was decided',
  ],
  49: ['malformed files', ['decide/constraints', 'decide/cases/whole']],
  50: ['a driver that goes with the kernel’s module', ['decide/cases/host']],
}

const tests = new URL('../../', import.meta.url)

/** The numbers that stand at the beginning of a test's title. */
function numbersIn(file: string): readonly number[] {
  const source = readFileSync(fileURLToPath(new URL(`${file}.js`, tests)), 'utf8')
  return [...source.matchAll(/['"`]((?:case \d+(?:, )?)+): /g)].flatMap(([, title = '']) =>
    [...title.matchAll(/\d+/g)].map(([number]) => Number(number)),
  )
}

const found = new Map<string, readonly number[]>()
for (let number = 1; number <= 50; number++) {
  const [what, files, because = ''] = CASES[number] ?? ['not listed', []]
  t.ok(files.length > 0 || because !== '', `case ${number} has a test, or a reason`)
  for (const file of files) {
    if (!found.has(file)) found.set(file, numbersIn(file))
    t.ok(found.get(file)?.includes(number), `case ${number} in ${file}: ${what}${because && ` (${because})`}`)
  }
}
for (const [file, numbers] of found)
  t.same(
    numbers.filter(number => !CASES[number]?.[1].includes(file)),
    [],
    `${file}: every number is listed above`,
  )
