import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { compile, temporaryDirectory } from './fixtures.js'
import { HOST_LOADER } from './oracle.js'

/*
 * Programs and libraries that are nothing but their dynamic sections, for rules on paths and names: put together by the
 * linker from one object with a `_start` that exits. They need no C library, so that a trace shows the fixtures alone, and
 * any glibc's loader can judge them.
 */

export type Machine = 'x86-64' | 'i386' | 'x32'

const MACHINES = {
  'x86-64': { gcc: '-m64', ld: 'elf_x86_64', interpreter: HOST_LOADER },
  i386: { gcc: '-m32', ld: 'elf_i386', interpreter: '/lib/ld-linux.so.2' },
  x32: { gcc: '-mx32', ld: 'elf32_x86_64', interpreter: '/libx32/ld-linux-x32.so.2' },
} as const

/** Exits with 0 on any of the three. */
const START = `
#ifdef __LP64__
  __asm__(".globl _start\\n_start: mov $60, %eax\\nxor %edi, %edi\\nsyscall");
#elif defined __x86_64__
  __asm__(".globl _start\\n_start: mov $0x4000003c, %eax\\nxor %edi, %edi\\nsyscall");
#else
  __asm__(".globl _start\\n_start: mov $1, %eax\\nxor %ebx, %ebx\\nint $0x80");
#endif
  __asm__(".section .note.GNU-stack,\\"\\",@progbits");
`

const ENTRY = `
  __attribute__((force_align_arg_pointer, noreturn)) void _start(void) {
    __asm__ volatile("syscall" : : "a"(60), "D"(main()));
    __builtin_unreachable();
  }
`

export const RPATH = '--disable-new-dtags'
export const RUNPATH = '--enable-new-dtags'
export const soname = (name: string) => `-soname=${name}`
export const rpath = (path: string) => `-rpath=${path}`

export class LoaderFixtures {
  readonly dir = temporaryDirectory()
  readonly #objects = new Map<Machine, string>()

  /**
   * A library at `name` below `dir`. `needs` are files below `dir`; those without a soname are recorded by their path as it is
   * given here.
   */
  library(
    name: string,
    needs: readonly string[] = [],
    flags: readonly string[] = [],
    machine: Machine = 'x86-64',
  ): string {
    return this.#link(name, needs, ['-shared', ...flags], machine)
  }

  /** A library whose soname is its file name. */
  named(
    name: string,
    needs: readonly string[] = [],
    flags: readonly string[] = [],
    machine: Machine = 'x86-64',
  ): string {
    return this.library(name, needs, [soname(name.slice(name.lastIndexOf('/') + 1)), ...flags], machine)
  }

  program(name: string, needs: readonly string[], flags: readonly string[] = [], machine: Machine = 'x86-64'): string {
    const { interpreter } = MACHINES[machine]
    return this.#link(name, needs, ['-pie', `--dynamic-linker=${interpreter}`, ...flags], machine)
  }

  /** A library of C, whose soname is its file name and whose versions are those of a linker's script. */
  compiled(name: string, source: string, script = '', flags: readonly string[] = []): string {
    const versions = join(this.dir, 'versions.map')
    writeFileSync(versions, script)
    return compile(this.dir, name, source, [
      ...['-shared', '-fPIC', '-nostdlib', `-Wl,-soname,${name.slice(name.lastIndexOf('/') + 1)}`],
      ...(script === '' ? [] : [`-Wl,--version-script=${versions}`]),
      ...flags,
    ])
  }

  /** A program of C without a C library, which exits with what its `main` returns. */
  executable(name: string, source: string, libraries: readonly string[], flags: readonly string[] = []): string {
    return compile(this.dir, name, source + ENTRY, [
      ...['-nostdlib', `-Wl,--dynamic-linker=${HOST_LOADER},--no-as-needed,--allow-shlib-undefined`],
      ...(flags.includes('-no-pie') ? [] : ['-pie', '-fPIE']),
      ...libraries,
      ...flags,
    ])
  }

  #link(name: string, needs: readonly string[], flags: readonly string[], machine: Machine): string {
    const path = join(this.dir, name)
    mkdirSync(dirname(path), { recursive: true })
    const options = ['-m', MACHINES[machine].ld, '--no-as-needed', '--allow-shlib-undefined']
    execFileSync('ld', [...options, '-o', path, this.#object(machine), ...needs, ...flags], {
      cwd: this.dir,
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    return path
  }

  #object(machine: Machine): string {
    const known = this.#objects.get(machine)
    if (known !== undefined) return known
    const path = join(this.dir, `start-${machine}.o`)
    writeFileSync(`${path}.c`, START)
    execFileSync('gcc', [MACHINES[machine].gcc, '-fPIC', '-c', '-o', path, `${path}.c`])
    this.#objects.set(machine, path)
    return path
  }
}
