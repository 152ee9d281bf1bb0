/**
 * The plan file's layout (docs/formats.md, "Plan file"), shared by encoder and decoder. native/core/plan.h has the same
 * structures and limits. All numbers are little-endian; `String` and `Table` are pairs of 32-bit numbers.
 */
export const MAGIC = 'appcplan'
export const VERSION = 5
export const MAX_SIZE = 16 << 20

/** Byte offsets in the header. */
export const HEADER = {
  version: 8,
  checksum: 12,
  /** Also where the checksummed part begins. */
  size: 16,
  uid: 20,
  gid: 24,
  cpuLevel: 28,
  name: 32,
  root: 40,
  kernelRelease: 48,
  request: 56,
  loaderEnvironment: 64,
  guards: 72,
  overlays: 80,
  carried: 88,
  binds: 96,
  programs: 104,
  environment: 112,
  needs: 120,
  objects: 128,
  /** Of all objects. */
  objectsDev: 136,
  end: 144,
} as const

/** Bytes of a record of each table. */
export const RECORD = {
  request: 8,
  loaderEnvironment: 8,
  guards: 72,
  overlays: 24,
  carried: 8,
  binds: 16,
  programs: 16,
  environment: 8,
  needs: 8,
  objects: 72,
} as const

export type TableName = keyof typeof RECORD

/** Records that a table holds at most. */
export const MAX_COUNT: Readonly<Record<TableName, number>> = {
  request: 65536,
  loaderEnvironment: 7,
  guards: 65536,
  overlays: 64,
  carried: 256,
  binds: 64,
  programs: 65536,
  environment: 65536,
  needs: 64,
  objects: 131072,
}

/**
 * Bytes that a string holds at most: of a path, of a file name, of a variable as execve takes it, of utsname.release.
 */
export const MAX_LENGTH = { path: 4095, fileName: 255, variable: 131071, release: 64 } as const

/** Each by its place. */
export const GUARD_KINDS = ['identity', 'absent', 'names'] as const
