/** Longer runs of digits are cut: no file's name is that long, and a cache may hold megabytes of digits to compare. */
const MAX_DIGITS = 4096

/**
 * _dl_cache_libcmp of glibc's elf/dl-cache.c: the order of a name and of the NUL-ended string at `at` in `table`. Runs of digits
 * compare as numbers, which wrap around at 32 bits, and a digit sorts above any other character. The others compare as C's
 * char, which has a sign on x86 and none on ARM, POWER, RISC-V and s390.
 */
export function compareNames(name: Uint8Array, table: Uint8Array, at: number, signedChars: boolean): number {
  let i = 0
  let j = at
  for (;;) {
    const x = name[i] ?? 0
    const y = table[j] ?? 0
    if (x !== 0 && isDigit(x)) {
      if (!isDigit(y)) return 1
      let m = 0
      let n = 0
      while (isDigit(name[i] ?? 0)) m = (Math.imul(m, 10) + (name[i++] as number) - 48) | 0
      const end = j + MAX_DIGITS
      while (isDigit(table[j] ?? 0) && j < end) n = (Math.imul(n, 10) + (table[j++] as number) - 48) | 0
      if (m !== n) return (m - n) | 0
    } else {
      if (x !== 0 && isDigit(y)) return -1
      if (x !== y) return signedChars ? signed(x) - signed(y) : x - y
      if (x === 0) return 0
      i++
      j++
    }
  }
}

function isDigit(c: number): boolean {
  return c >= 48 && c <= 57
}

function signed(byte: number): number {
  return (byte << 24) >> 24
}
