import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { foreignFiles } from '../support/elf-files.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'

/** A changed file is a copy first, and of larger ones more is code. */
const MAX_SIZE = 40_000

/** Small real files: this machine's compiler's, each with something of its own for readers to follow, and other machines'. */
export function elfSamples(): Buffer[] {
  const dir = temporaryDirectory()
  const library = ['-shared', '-fPIC', '-nostdlib', '-Wl,--build-id']
  const one = (name: string, source: string, ...flags: string[]) => readFileSync(compile(dir, name, source, flags))
  writeFileSync(join(dir, 'versions'), VERSIONS.map(version => `${version} { };`).join('\n'))
  return [
    one('versions.so', FUNCTIONS, ...library, '-Wl,--version-script=versions', '-Wl,-soname,libversions.so.1'),
    one('versions32.so', FUNCTIONS, '-m32', ...library, '-Wl,--version-script=versions', '-Wl,--hash-style=both'),
    one(
      'sysv32.so',
      FUNCTIONS,
      '-m32',
      ...library,
      '-Wl,--version-script=versions',
      '-Wl,--hash-style=sysv',
      '-Wl,-rpath,/a:$ORIGIN',
      '-Wl,-f,f.so',
    ),
    one('uses.so', USES, ...library, '-L.', '-l:versions.so', '-Wl,--no-as-needed', '-Wl,-rpath,$ORIGIN/$LIB'),
    one('copies', COPIES, '-no-pie', '-fno-pie', '-nostdlib', '-L.', '-l:versions.so', UNRESOLVED),
    one('notes.so', NOTES, ...library, '-Wl,-z,nodefaultlib', '-Wl,-F,filtee.so'),
    one('program', 'extern char **environ; int main(void) { return environ == 0; }', '-no-pie'),
    one(
      'pie',
      '#include <stdio.h>\nint main(void) { return puts("a"); }',
      '-pie',
      '-fPIE',
      '-Wl,-z,pack-relative-relocs',
    ),
    ...foreignFiles()
      .map(path => readFileSync(path))
      .filter(({ length }) => length <= MAX_SIZE),
  ]
}

const VERSIONS = Array.from({ length: 30 }, (_, index) => `V_1.${index}`)
const FUNCTIONS = [
  ...VERSIONS.map(
    (version, index) =>
      `__asm__(".symver f${index}, f@${index === 29 ? '@' : ''}${version}"); int f${index}(void) { return ${index}; }`,
  ),
  'int variable = 1; __thread int local; extern int absent(void) __attribute__((weak));',
  'int calls(void) { return absent ? absent() : local; }',
].join('\n')
const USES = [
  ...[0, 7, 15, 29].map(index => `__asm__(".symver u${index}, f@V_1.${index}"); extern int u${index}(void);`),
  'int g(void) { return u0() + u7() + u15() + u29(); }',
].join('\n')
const COPIES = 'extern int variable; extern int f(void); void _start(void) { variable = f(); for (;;) ; }'
/** versions.so leaves __tls_get_addr to the loader. */
const UNRESOLVED = '-Wl,--unresolved-symbols=ignore-all'
const NOTES = `
#define NOTE(name, type, text) __asm__(".pushsection ." name ",\\"a\\",@note; .balign 4; .long 4, 2f - 1f, " #type \\
  "; .asciz \\"FDO\\"; 1: .asciz \\"" text "\\"; 2: .balign 4; .popsection");
NOTE("note.dlopen", 0x407c0c0a, "[{\\\\\\"soname\\\\\\":[\\\\\\"liba.so.1\\\\\\"]}]")
NOTE("note.package", 0xcafe1a7e, "{\\\\\\"type\\\\\\":\\\\\\"deb\\\\\\"}")
int x;`
