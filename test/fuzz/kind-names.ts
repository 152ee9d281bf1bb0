/** In the order of allKinds, apart from it: who only names kinds need not have all that is fuzzed in memory. */
export const KIND_NAMES = [
  'changed-elf',
  'hostile-elf',
  'hole-elf',
  'damaged-cache',
  'hostile-cache',
  'loader',
  'tokens',
  'known',
]
