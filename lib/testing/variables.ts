import { type Section, SHT_NOBITS } from './layout.js'
import type { Target } from './machines.js'
import type { Rows } from './symbols.js'
import type { ElfDescription } from './types.js'

const SHT_PROGBITS = 1

/** The words that relocations set to addresses, and what variables take in memory. */
export function variableSections(
  { rows, sizes }: Pick<Rows, 'rows' | 'sizes'>,
  { tls = false }: ElfDescription,
  { wide }: Target,
): Section[] {
  const slots = rows.filter(({ relocation }) => relocation === 'symbol').length
  const got = Buffer.alloc(slots * (wide ? 8 : 4))
  const nothing = Buffer.alloc(0)
  const noBits = { type: SHT_NOBITS, access: 'write', align: 8, bytes: () => nothing } as const
  const sections: Section[] = []
  if (slots > 0) sections.push({ name: '.got', type: SHT_PROGBITS, access: 'write', align: 8, bytes: () => got })
  if (tls || rows.some(({ place }) => place?.section === '.tbss')) {
    sections.push({ ...noBits, name: '.tbss', memory: Math.max(8, sizes['.tbss']), threadLocal: true })
  }
  if (rows.some(({ place }) => place?.section === '.bss')) {
    sections.push({ ...noBits, name: '.bss', memory: Math.max(8, sizes['.bss']) })
  }
  return sections
}
