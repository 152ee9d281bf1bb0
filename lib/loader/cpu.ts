import type { Loader, SearchContext } from './types.js'
import { atLeast } from './version.js'

/* What glibc's searches owe to the CPU: sub-directories, and $PLATFORM. */

const EM_386 = 3
const EM_X86_64 = 62

/** Sub-directories of glibc-hwcaps that the CPU can use, best first. Only x86-64's are known to SearchContext. */
export function hwcapsLevels(loader: Loader, context: SearchContext): string[] {
  if (!atLeast(loader, 33) || loader.machine !== EM_X86_64) return []
  return [4, 3, 2].filter(level => level <= context.cpuLevel).map(level => `x86-64-v${level}`)
}

/** Sub-directories of each search directory that are tried, in order; '' is the directory itself. */
export function searchSubdirectories(loader: Loader, context: SearchContext): string[] {
  const levels = hwcapsLevels(loader, context).map(level => `glibc-hwcaps/${level}`)
  return [...levels, ...(atLeast(loader, 37) ? [] : legacySubdirectories(loader, context)), '']
}

/** elf/dl-hwcaps.c before 2.37: every combination of `tls`, the platform and the CPU's features, the largest first. */
function legacySubdirectories(loader: Loader, context: SearchContext): string[] {
  let combinations = ['']
  for (const name of [...legacyFeatures(loader, context), platformOf(loader, context), 'tls']) {
    combinations = [...combinations.map(rest => (rest === '' ? name : `${name}/${rest}`)), ...combinations]
  }
  return [...new Set(combinations)].filter(path => path !== '')
}

/** The innermost first. */
function legacyFeatures({ machine }: Loader, { cpuLevel, intel }: SearchContext): string[] {
  if (machine === EM_386) return ['sse2']
  if (machine !== EM_X86_64) return []
  return intel === true && cpuLevel === 4 ? ['x86_64', 'avx512_1'] : ['x86_64']
}

/**
 * $PLATFORM: what the kernel says, but for Intel's CPUs of level 3 (sysdeps/x86/cpu-features.c, init_cpu_features, since 2.26).
 * Knights Landing alone has another name there, and is not told apart.
 */
export function platformOf({ machine, platform }: Loader, { cpuLevel, intel }: SearchContext): string {
  return machine === EM_X86_64 && intel === true && cpuLevel >= 3 ? 'haswell' : platform
}
