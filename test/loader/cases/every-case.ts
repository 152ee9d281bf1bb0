import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

/*
 * The titles of the tests in this folder say what each is about: the number of an edge case, or of a rule of the loaders, as the
 * comments below name them. Each has a test in which the real loader judges.
 */
const CASES: Readonly<Record<string, string>> = {
  'case 1': 'a missing version',
  'case 2': 'the version there, a symbol missing',
  'case 3': 'the same soname, other versions altogether',
  'case 4': 'a library without versions, a reference with one',
  'case 5': 'a library with versions, a reference without',
  'case 6': 'a new symbol without a version',
  'case 7': 'a version needed weakly',
  'case 8': 'a weak reference',
  'case 9': 'hidden and default versions',
  'case 10': 'a symbol from another library than the one named',
  'case 14': 'a cycle',
  'case 22': 'RPATH against RUNPATH',
  'case 23': 'tokens, and a program started by a link',
  'case 24': 'an absolute NEEDED',
  'case 25': 'a file name that is not the soname',
  'case 26': 'alternatives and chains of links',
  'case 27': 'merged and split /usr',
  'case 28': 'i386 and x32 twins',
  'case 29': 'a glibc-hwcaps twin',
  'case 30': 'a stale cache, or none',
  'case 31': 'the ABI note',
  'case 32': 'NODEFLIB',
  'case 34': 'static programs',
  'case 35': 'dlopen',
  'case 41': 'preloads',
  'case 42': 'setuid and capabilities',
  'case 44': 'static TLS in dlopen',
  'case 45': 'a copy relocation whose size changed',
  'case 49': 'malformed files',
  'rule 1': 'breadth-first, tokens before de-duplication, preloads before needs',
  'rule 2': 'what is one object: name, soname, device and inode',
  'rule 3a': 'RPATH, up the chain of who loaded whom',
  'rule 3b': 'LD_LIBRARY_PATH',
  'rule 3c': 'RUNPATH',
  'rule 3d': 'the cache, and NODEFLIB there',
  'rule 3e': 'the system directories',
  'rule 4': 'a name with a slash',
  'rule 5': 'void and empty RPATHs and elements',
  'rule 6': 'tokens',
  'rule 7': '$ORIGIN of a library',
  'rule 8': 'what is passed over, what ends the list, what ends the program',
  'rule 9': 'sub-directories by CPU and version',
  'rule 10': 'the cache’s format',
  'rule 11': 'what the loader’s own bytes tell',
  'rule 12': 'filters',
  'rule 13': 'auditors',
  'rule 14': 'secure mode',
  'rule 15': 'versions',
  'trace 2': 'a trace tells of a missing version on stderr alone',
  'trace 3': 'a trace of a link takes $ORIGIN from the link',
}

const folder = fileURLToPath(new URL('.', import.meta.url))
const titles = readdirSync(folder)
  .filter(name => name.endsWith('.js'))
  .flatMap(name => [
    ...readFileSync(join(folder, name), 'utf8').matchAll(/^ *t\.test\((['"`])((?:case|rule|trace) .*?)\1, /gm),
  ])
  .map(([, , title = '']) => title)

for (const [number, what] of Object.entries(CASES)) {
  t.ok(
    titles.some(title => title.split(':')[0]?.split(', ').includes(number)),
    `${number}: ${what}`,
  )
}
