import type { ElfDescription } from './types.js'

/** What differs between machines in a file that only has to be found, loaded and bound. */
export interface Machine {
  /** R_*_GLOB_DAT or its like: a word that is set to a symbol's address; [R_*_NONE]. */
  readonly symbolRelocation: number
  /** R_*_COPY; null where it is not known. */
  readonly copyRelocation: number | null
  /** Whether relocations have addends of their own. */
  readonly rela: boolean
  /** e_flags, which loaders compare with their own. */
  readonly flags: number
  /** DT_HASH has words of eight bytes. */
  readonly wideHash: boolean
  /** Ends the process with status 0. */
  readonly exit: readonly number[]
}

/** A relocation of type 0 does nothing on any machine, but names its symbol. Code nobody runs is a word of zeros. */
const PLAIN: Machine = {
  symbolRelocation: 0,
  copyRelocation: null,
  rela: true,
  flags: 0,
  wideHash: false,
  exit: [0, 0, 0, 0],
}

/** By e_machine; the numbers are those of each processor's supplement to the System V ABI. */
const MACHINES: Readonly<Record<number, Partial<Machine>>> = {
  // mov $1, %eax; xor %ebx, %ebx; int $0x80
  3: { symbolRelocation: 6, copyRelocation: 5, rela: false, exit: [0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80] },
  20: { symbolRelocation: 20, copyRelocation: 19 },
  // ELF ABI version 2
  21: { symbolRelocation: 20, copyRelocation: 19, flags: 2 },
  22: { symbolRelocation: 10, copyRelocation: 9, wideHash: true },
  // EABI 5 with hardware floating point
  40: { symbolRelocation: 21, copyRelocation: 20, rela: false, flags: 0x0500_0400 },
  // mov $60, %eax; xor %edi, %edi; syscall
  62: { symbolRelocation: 6, copyRelocation: 5, exit: [0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05] },
  183: { symbolRelocation: 1025, copyRelocation: 1024 },
  // compressed instructions, double floats
  243: { symbolRelocation: 2, copyRelocation: 4, flags: 5 },
}

/** The machine, word size and byte order that a file is for. */
export interface Target extends Machine {
  readonly machine: number
  readonly wide: boolean
  readonly little: boolean
}

export function targetOf(description: ElfDescription): Target {
  const wide = (description.class ?? 64) === 64
  const little = (description.data ?? 'little') === 'little'
  const usual = little ? (wide ? 62 : 3) : wide ? 22 : 20
  const { machine = usual } = description
  return { ...PLAIN, ...MACHINES[machine], machine, wide, little }
}
