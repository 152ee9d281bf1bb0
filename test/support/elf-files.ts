import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { OpenFile } from '../../lib/elf/types.js'
import { openHostFile } from '../../lib/loader/root-file-system.js'
import { cache } from './roots.js'

/** Real ELF files for readers to be compared on. */

/** `count` of this machine's (all, if it has no more), evenly from everywhere, in the order of their paths. */
export function machineFiles(count: number): readonly string[] {
  const all = ['/usr/bin', '/usr/lib', '/usr/libexec', '/usr/sbin'].filter(existsSync).flatMap(elfFilesBelow)
  const quota = Math.min(count, all.length)
  return Array.from({ length: quota }, (_, index) => all[Math.floor((index * all.length) / quota)] as string)
}

/**
 * The C library of one machine of each kind that this one is not: 32 bit little endian, 32 and 64 bit big endian; and MIPS, which
 * has its own ways (relocations, DT_HASH alone, dynamic tags).
 */
export function foreignFiles(): readonly string[] {
  return elfFilesBelow(
    unpacked('libc6-armhf-cross', 'libc6-mips64el-cross', 'libc6-powerpc-cross', 'libc6-s390x-cross'),
  )
}

/** Packages of this machine's suite, unpacked to a directory of their own that lasts from one run to the next. */
export function unpacked(...packages: readonly string[]): string {
  const directory = join(cache, 'appc/test-packages', packages.join('-'))
  execFileSync(unpackPackages, [directory, ...packages], { stdio: ['ignore', 'ignore', 'inherit'] })
  return directory
}

const unpackPackages = fileURLToPath(new URL('../../../scripts/lib/unpack-packages', import.meta.url))

function elfFilesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter(entry => entry.isFile() && !entry.parentPath.startsWith('/usr/lib/debug'))
    .filter(({ name }) => !name.includes('.') || /\.(o|so)\b/.test(name) || directory !== '/usr/lib')
    .map(entry => join(entry.parentPath, entry.name))
    .filter(isElf)
    .sort()
}

function isElf(path: string): boolean {
  const magic = Buffer.alloc(4)
  return withFile(path, file => file.read(magic, 0)) === 4 && magic.toString('latin1') === '\x7fELF'
}

export function withFile<T>(path: string, use: (file: OpenFile) => T): T {
  const file = openHostFile(path)
  try {
    return use(file)
  } finally {
    file.close()
  }
}
