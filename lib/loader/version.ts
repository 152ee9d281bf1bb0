import type { Loader } from './types.js'

/** True for glibc 2.MINOR and later. */
export function atLeast(loader: Loader, minor: number): boolean {
  return loader.version[0] > 2 || (loader.version[0] === 2 && loader.version[1] >= minor)
}
