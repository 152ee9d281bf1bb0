import { spawnSync } from 'node:child_process'

/** What binutils' readelf prints of each file, all asked in one process: it reads the files of every machine. */
export function readelf(options: readonly string[], paths: readonly string[]): ReadonlyMap<string, string> {
  return ask('readelf "$@"', options, paths)
}

function ask(script: string, options: readonly string[], paths: readonly string[]): ReadonlyMap<string, string> {
  // Of one file alone it does not print the name. Its exit status is that of the worst file, and its complaints are not compared.
  const { stdout, error } = spawnSync('sh', ['-c', script, 'sh', ...options, '--wide', ...paths, '/dev/null'], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, LC_ALL: 'C' },
  })
  if (error !== undefined) throw error
  const files = stdout.split(/^\nFile: /m).slice(1)
  return new Map(files.map(text => [text.slice(0, text.indexOf('\n')), text]))
}

export interface ReadelfRelocation {
  readonly type: string
  readonly name: string
}

/** The relocations of each file that refer to a symbol. */
export function relocationsOf(paths: readonly string[]): ReadonlyMap<string, readonly ReadelfRelocation[]> {
  // Most are relative, and refer to none: millions of lines.
  const outputs = ask('readelf --relocs "$@" | grep -v _RELATIV', [], paths)
  const pattern = /^[0-9a-f]+ +[0-9a-f]+ +(R_\S+) +[0-9a-f]+ +([^\s@]+)/gm
  return new Map(
    [...outputs].map(([path, text]) => [
      path,
      [...text.matchAll(pattern)].map(([, type = '', name = '']) => ({ type, name })),
    ]),
  )
}

/** The facts of -d, -l and -n. Lists are in the order of the file. */
export interface ReadelfFacts {
  readonly needed: readonly string[]
  readonly soname: string | null
  readonly rpath: string | null
  readonly runpath: string | null
  readonly interpreter: string | null
  readonly buildId: string | null
  readonly abiTag: string | null
  readonly pie: boolean
  readonly tls: boolean
  readonly executableStack: boolean
}

export function factsOf(output: string): ReadelfFacts {
  const dynamic = (tag: string) => all(output, new RegExp(`^ 0x[0-9a-f]+ \\(${tag}\\)\\s+.*?\\[(.*)\\]$`, 'gm'))
  const stack = /^ {2}GNU_STACK .*? (R[W ][E ]) /m.exec(output)?.[1]
  return {
    needed: dynamic('NEEDED'),
    soname: dynamic('SONAME')[0] ?? null,
    rpath: dynamic('RPATH')[0] ?? null,
    runpath: dynamic('RUNPATH')[0] ?? null,
    interpreter: /Requesting program interpreter: (.*)\]/.exec(output)?.[1] ?? null,
    buildId: hasNoteSegment(output, '.note.gnu.build-id') ? (/Build ID: ([0-9a-f]+)/.exec(output)?.[1] ?? null) : null,
    abiTag: /OS: (\S+, ABI: [\d.]+)/.exec(output)?.[1] ?? null,
    pie: /\(FLAGS_1\).*\bPIE\b/.test(output),
    tls: /^ {2}TLS /m.test(output),
    executableStack: stack === undefined || stack.includes('E'),
  }
}

/** False for a note that only section headers lead to, which readelf prefers: Go's linker makes such a build-id. */
function hasNoteSegment(output: string, section: string): boolean {
  const types = all(output, /^ {2}(\S+) +0x\S+ 0x\S+ 0x\S+ 0x/gm)
  const sections = all(output, /^ {3}\d\d +(.*)$/gm)
  return types.some((type, index) => type === 'NOTE' && sections[index]?.split(' ').includes(section))
}

/** The names of -V's definitions but the base one, in the order of the file. */
export function definitionsOf(output: string): readonly string[] {
  return [...output.matchAll(/Rev: 1 {2}Flags: (.*?) +Index: \d+ {2}Cnt: \d+ {2}Name: (.*)$/gm)]
    .filter(([, flags]) => !flags?.includes('BASE'))
    .map(([, , name]) => name as string)
}

/** `FILE VERSION`, with ` WEAK`, in the order of the file. */
export function needsOf(output: string): readonly string[] {
  const needs: string[] = []
  let file = ''
  for (const line of output.split('\n')) {
    file = /Version: 1 {2}File: (.*?) {2}Cnt:/.exec(line)?.[1] ?? file
    const need = /^ +0x[0-9a-f]+: {3}Name: (.*?) {2}Flags: (.*?) {2}Version: \d+$/.exec(line)
    if (need !== null) needs.push(`${file} ${need[1]}${need[2]?.includes('WEAK') ? ' WEAK' : ''}`)
  }
  return needs
}

/** A line of -d: the tag, and readelf's words for the value. */
export interface ReadelfEntry {
  readonly tag: number
  readonly value: string
}

export function entriesOf(output: string): readonly ReadelfEntry[] {
  return [...output.matchAll(/^ (0x[0-9a-f]+) \(.*?\) +(.*)$/gm)].map(([, tag, value]) => ({
    tag: Number(tag),
    value: value as string,
  }))
}

export interface ReadelfSymbol {
  readonly name: string
  /** The name with its version as it is printed: `NAME`, `NAME@V` or `NAME@@V`. */
  readonly text: string
  readonly value: number
  readonly size: number
  readonly type: string
  readonly binding: string
  readonly visibility: string
  readonly section: string
}

/** The lines of --dyn-syms, in their order. */
export function symbolsOf(output: string): readonly ReadelfSymbol[] {
  return [...output.matchAll(SYMBOL)].map(parseSymbol)
}

const SYMBOL = /^ +\d+: ([0-9a-f]+) +(\S+) (\S+) +(<OS specific>: \d+|\S+) +(\S+)(?: \[.*?\])? +(\S+) ?(.*)$/gm

function parseSymbol(match: RegExpExecArray): ReadelfSymbol {
  const [, value, size, type = '', binding = '', visibility = '', section = '', rest = ''] = match
  // An import, or a copied variable, ends in the index of its version: `stdout@GLIBC_2.2.5 (3)`.
  const text = rest.replace(/ \(\d+\)$/, '')
  const isNeed = text !== rest && section !== 'UND'
  return {
    name: text.split('@')[0] as string,
    text: isNeed ? text.replace(/@(?!@)/, '@@') : text,
    value: Number(`0x${value}`),
    size: Number(size),
    type,
    binding,
    visibility,
    section,
  }
}

function all(output: string, pattern: RegExp): string[] {
  return [...output.matchAll(pattern)].map(([, text]) => text as string)
}
