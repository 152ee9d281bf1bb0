/*
 * How native/ may reach the kernel. A path can be exchanged for a link between the look and the use, so mounts are made, changed and
 * taken away by descriptor (docs/security.md), and what a plan names is opened by openat2(2). The compiler cannot see to that; this
 * reads the sources.
 */

export interface Finding {
  readonly line: number
  readonly message: string
}

/** Where calls may be named that make or change mounts, or open by path; no file: nowhere. All others are free. */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  // The ways by path string.
  mount: [],
  umount: [],
  fspick: [],
  open: [],
  creat: [],
  // Wrapped there so that they take descriptors.
  umount2: ['core/sys.h'],
  pivot_root: ['core/sys.h'],
  open_tree: ['core/sys.h'],
  open_tree_attr: ['core/sys.h'],
  move_mount: ['core/sys.h'],
  mount_setattr: ['core/sys.h'],
  fsopen: ['core/sys.h'],
  fsconfig: ['core/sys.h'],
  fsmount: ['core/sys.h'],
  openat: ['core/sys.h'],
  openat2: ['core/sys.h'],
  // The other: a program is asked in the tree that the caller named; nothing is mounted.
  chroot: ['core/sys.h', 'addon/capture.cpp'],
}

/** Those of them that take a path, and must be given none. */
const BY_DESCRIPTOR = ['umount2', 'pivot_root', 'open_tree', 'open_tree_attr', 'move_mount', 'mount_setattr']

/** A path that leads nowhere but to a descriptor of one's own, or a pointer to something else. */
const NO_PATH = /^(""|"\."|DescriptorPath\(\w+\)\.get\(\)|&\w+)$/

/** libc's functions for the same, and where they may be called. */
const LIBC: Readonly<Record<string, readonly string[]>> = {
  // The addon reads files of a tree, one by one; none is the plan's.
  open: ['addon/batch.cpp', 'addon/look.cpp'],
  openat: [],
  creat: [],
  fopen: [],
  freopen: [],
  chroot: [],
  syscall: [],
}

/** What is declared there takes paths. */
const HEADER = /#\s*include\s*<(sys\/mount\.h|fstream|filesystem)>/g

/** Options of overlays that name directories, wrapped so that they take descriptors. */
const DIRECTORY_OPTION = /"(lowerdir|datadir|upperdir|workdir)/g

/** What sys::open() may be given besides literals, by file: never a path out of a plan. */
const OPENED: Readonly<Record<string, readonly string[]>> = {
  // Files of this process in /proc.
  'core/mountinfo.cpp': ['mountinfoPath'],
  'core/namespaces.cpp': ['path'],
  // What was just read there, a name alone, in a directory that was opened; links are not followed.
  'core/skeleton.cpp': ['name'],
  // Control groups: the kernel's files, in a directory that was opened.
  'core/resource-limits.cpp': ['file', 'hierarchy', 'controller.file'],
  // This installation; the plan's own file; what the caller named.
  'launcher/bus.cpp': ['socket'],
  // /proc and /dev of the program.
  'launcher/confined.cpp': ['paths[i]'],
  'launcher/cold.cpp': ['replan.get()'],
  'launcher/launch.cpp': ['path'],
  'launcher/request.cpp': ['path', 'root', 'program'],
}

/** What is wrong in `source`, the file at `path` below native/. */
export function lintCalls(path: string, source: string): readonly Finding[] {
  const code = withoutComments(source)
  const findings: Finding[] = []
  const find = (index: number, message: string) => {
    findings.push({ line: code.slice(0, index).split('\n').length, message })
  }
  const isAtHome = (homes: readonly string[] | undefined) => homes === undefined || homes.includes(path)

  for (const { index, 1: name = '' } of code.matchAll(/\b(?:SYS_|__NR_)(\w+)/g)) {
    // Numbers in a list of what programs are refused.
    if (path === 'core/seccomp.cpp' && !/\bcall\(\s*$/.test(code.slice(0, index))) continue
    const homes = HOMES[name]
    if (!isAtHome(homes)) find(index, notHere(`the system call ${name}`, homes))
    if (!BY_DESCRIPTOR.includes(name)) continue
    const words = callsIn(code, 'word', index, code.indexOf(';', index)).map(({ given: [word = ''] }) => word)
    for (const word of words) if (!NO_PATH.test(word)) find(index, `${name} is given a path: ${word}`)
    const before = code.slice(code.lastIndexOf('\n}', index) + 1, index)
    if (words.includes('"."') && !before.includes('fchdir(')) {
      find(index, `${name} is given ".", which no fchdir() has set before`)
    }
  }
  for (const { index } of code.matchAll(/\bcall\((?!\s*SYS_|long number)/g)) {
    find(index, 'a system call without its name (SYS_…)')
  }
  for (const { index, 1: header } of code.matchAll(HEADER)) find(index, `what <${header}> declares takes paths`)
  for (const { index, 1: name = '' } of code.matchAll(LIBC_CALL)) {
    if (!isAtHome(LIBC[name])) find(index, notHere(`libc’s ${name}()`, LIBC[name]))
  }
  for (const { index, 1: option } of code.matchAll(DIRECTORY_OPTION)) {
    if (path !== 'core/sys.h') find(index, notHere(`the option ${option}`, ['core/sys.h']))
  }
  for (const { index, given } of callsIn(code, 'sys::open')) {
    const [, opened = ''] = given
    if (opened.startsWith('"') || OPENED[path]?.includes(opened)) continue
    find(index, `sys::open(…, ${opened}, …): openResolved() opens what a plan names`)
  }
  for (const { index, given } of callsIn(code, 'sys::openResolved')) {
    const [, , , resolve = ''] = given
    if (!/\b(RESOLVE_NO_MAGICLINKS|strictly|inside)\b/.test(resolve))
      find(index, `openResolved(…, ${resolve}) follows magic links`)
  }
  return findings.sort((a, b) => a.line - b.line)
}

function notHere(what: string, homes: readonly string[] = []): string {
  return `${what} may be used ${homes.length === 0 ? 'nowhere' : `in ${homes.join(', ')} only`}`
}

/** Not a method's, and not a declaration: there a type stands before the name. */
const LIBC_CALL = new RegExp(
  `(?<![\\w.>:])(?<!\\b(?!return\\b)[A-Za-z_]\\w*[&*]*\\s)(?:::|std::)?(${Object.keys(LIBC).join('|')})\\s*[({]`,
  'g',
)

/** Blank, so that all else stays in its place. */
function withoutComments(source: string): string {
  // Literals are matched so that no comment begins in one; a ' between digits begins none.
  const tokens = /R"\((?:[^)]|\)(?!"))*\)"|"(?:\\.|[^"\\\n])*"|(?<!\w)'(?:\\.|[^'\\\n])+'|\/\/[^\n]*|\/\*[\s\S]*?\*\//g
  return source.replace(tokens, token => (token.startsWith('/') ? token.replace(/[^\n]/g, ' ') : token))
}

interface Call {
  readonly index: number
  readonly given: readonly string[]
}

/** The calls of `name` between `from` and `to`. */
function callsIn(code: string, name: string, from = 0, to = code.length): readonly Call[] {
  const calls: Call[] = []
  for (const { index, 0: begin } of code.slice(from, to).matchAll(new RegExp(`\\b${name}\\(`, 'g'))) {
    const given = ['']
    let depth = 1
    for (const character of code.slice(from + index + begin.length)) {
      if (character === '(') depth += 1
      if (character === ')') depth -= 1
      if (depth === 0) break
      if (character === ',' && depth === 1) given.push('')
      else given.push(`${given.pop()}${character}`)
    }
    calls.push({ index: from + index, given: given.map(argument => argument.trim()) })
  }
  return calls
}
