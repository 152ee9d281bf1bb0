/** C source of a section of its own with one note, `payload` given to the assembler as it is. */
export function note(section: string, owner: string, type: number, payload: string, align = 4): string {
  const lines = [
    `.pushsection ${section},"a",%note`,
    `.balign ${align}`,
    `.long 1f - 0f, 3f - 2f, ${type}`,
    `0: .asciz "${owner}"`,
    `1: .balign ${align}`,
    `2: ${payload}`,
    `3: .balign ${align}`,
    '.popsection',
  ]
  return `__asm__(${lines.map(line => JSON.stringify(`${line}\n`)).join('\n')});\n`
}

export const DLOPEN = 0x407c0c0a

export function text(json: string): string {
  return `.asciz ${JSON.stringify(json)}`
}

/** What a program says that it opens by dlopen. */
export function dlopenNote(json: string): string {
  return note('.note.dlopen', 'FDO', DLOPEN, text(json))
}
