import { execFileSync } from 'node:child_process'

/** What binutils' readelf says of a file, in the terms that the tests compare. Lists are sorted, but for `needed`. */
export interface Readelf {
  readonly facts: {
    readonly needed: readonly string[]
    readonly soname: string | null
    readonly rpath: string | null
    readonly runpath: string | null
    readonly interpreter: string | null
    readonly buildId: string | null
    readonly pie: boolean
    readonly tls: boolean
    readonly executableStack: boolean
  }
  readonly verdefs: readonly string[]
  /** `FILE VERSION`, with ` WEAK`. */
  readonly verneeds: readonly string[]
  /** `NAME`, `NAME@V` or `NAME@@V`, with ` WEAK`, with ` SIZE` for data. */
  readonly exports: readonly string[]
  readonly imports: readonly string[]
  /** `NAME SIZE`. */
  readonly copies: readonly string[]
  /** Names that a relocation refers to. */
  readonly relocated: ReadonlySet<string>
}

export function readelf(path: string): Readelf {
  const output = execFileSync('readelf', ['-dlnVrW', '--dyn-syms', path], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { LC_ALL: 'C' },
  })
  const dynamic = (tag: string) =>
    [...output.matchAll(new RegExp(`^ 0x[0-9a-f]+ \\(${tag}\\)\\s+.*?\\[(.*)\\]$`, 'gm'))].map(
      ([, text]) => text as string,
    )
  const stack = /^ {2}GNU_STACK .*? (R[W ][E ]) /m.exec(output)?.[1]
  const relocated = [...output.matchAll(/^[0-9a-f]+ +[0-9a-f]+ +(R_\S+) +[0-9a-f]+ +([^\s@]+)/gm)]
  const symbols = [
    ...output.matchAll(/^ +\d+: [0-9a-f]+ +(\S+) (\S+) +(<OS specific>: \d+|\S+) +(\S+) +(\S+) (.*)$/gm),
  ].map(parseSymbol)
  const copied = new Set(relocated.filter(([, type]) => type?.endsWith('_COPY')).map(([, , name]) => name as string))
  const verdefs = [...output.matchAll(/Rev: 1 {2}Flags: (.*?) +Index: \d+ {2}Cnt: \d+ {2}Name: (.*)$/gm)]
    .filter(([, flags]) => !flags?.includes('BASE'))
    .map(([, , name]) => name as string)
  const exported = symbols.filter(
    ({ name, section, binding, visibility, type }) =>
      !(section === 'ABS' && verdefs.includes(name)) &&
      section !== 'UND' &&
      binding !== 'LOCAL' &&
      !['HIDDEN', 'INTERNAL'].includes(visibility) &&
      !['SECTION', 'FILE'].includes(type),
  )
  return {
    facts: {
      needed: dynamic('NEEDED'),
      soname: dynamic('SONAME')[0] ?? null,
      rpath: dynamic('RPATH')[0] ?? null,
      runpath: dynamic('RUNPATH')[0] ?? null,
      interpreter: /Requesting program interpreter: (.*)\]/.exec(output)?.[1] ?? null,
      buildId: /Build ID: ([0-9a-f]+)/.exec(output)?.[1] ?? null,
      pie: /\(FLAGS_1\).*\bPIE\b/.test(output),
      tls: /^ {2}TLS /m.test(output),
      executableStack: stack === undefined || stack.includes('E'),
    },
    verdefs,
    verneeds: parseNeeds(output),
    exports: exported
      .map(
        ({ text, binding, type, size }) =>
          `${text}${binding === 'WEAK' ? ' WEAK' : ''}${['OBJECT', 'TLS', 'COMMON'].includes(type) ? ` ${size}` : ''}`,
      )
      .sort(),
    imports: symbols
      .filter(({ section, binding, text }) => section === 'UND' && binding !== 'LOCAL' && text !== '')
      .map(({ text, binding }) => `${text}${binding === 'WEAK' ? ' WEAK' : ''}`)
      .sort(),
    copies: symbols
      .filter(({ name, section }) => section !== 'UND' && copied.has(name))
      .map(({ name, size }) => `${name} ${size}`)
      .sort(),
    relocated: new Set(relocated.map(([, , name]) => name as string)),
  }
}

function parseSymbol([
  ,
  size = '',
  type = '',
  binding = '',
  visibility = '',
  section = '',
  rest = '',
]: RegExpMatchArray) {
  // An import, or a copied variable, ends in the index of its version: `stdout@GLIBC_2.2.5 (3)`.
  const text = rest.replace(/ \(\d+\)$/, '').replace(/^ +/, '')
  const isNeed = / \(\d+\)$/.test(rest) && section !== 'UND'
  return {
    size: Number(size),
    type,
    binding,
    visibility,
    section,
    name: text.split('@')[0] as string,
    text: isNeed ? text.replace(/@(?!@)/, '@@') : text,
  }
}

function parseNeeds(output: string): string[] {
  const needs: string[] = []
  let file = ''
  for (const line of output.split('\n')) {
    file = /Version: 1 {2}File: (.*?) {2}Cnt:/.exec(line)?.[1] ?? file
    const need = /^ +0x[0-9a-f]+: {3}Name: (.*?) {2}Flags: (.*?) {2}Version: \d+$/.exec(line)
    if (need !== null) needs.push(`${file} ${need[1]}${need[2]?.includes('WEAK') ? ' WEAK' : ''}`)
  }
  return needs.sort()
}
