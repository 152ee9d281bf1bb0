import type { Tree } from './tree.js'

/** How much of a script's first line the kernel looks at (BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h). */
const LINE_BYTES = 256

/**
 * What runs a script: the path after `#!`, or the name that env(1) is given there. null for what is no script.
 */
export function readInterpreterLine(tree: Tree, path: string): string | null {
  const file = tree.open(path)
  try {
    const bytes = Buffer.alloc(LINE_BYTES)
    const line = bytes.toString('latin1', 0, file.read(bytes, 0)).split('\n', 1)[0] ?? ''
    const [, interpreter, rest = ''] = /^#![ \t]*([^ \t\0]+)(.*)$/.exec(line) ?? []
    if (interpreter === undefined) return null
    return interpreter.endsWith('/env') ? (programOfEnv(rest) ?? interpreter) : interpreter
  } finally {
    file.close()
  }
}

/** The first word that is neither an option nor an assignment, as in `env -S FOO=1 python3 -u`. */
function programOfEnv(rest: string): string | null {
  const words = rest.split(/[ \t]+/).filter(word => word !== '')
  return words.find(word => !word.startsWith('-') && !word.includes('=')) ?? null
}
