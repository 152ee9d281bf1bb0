import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import { hasCode } from '../store/writing.js'

/** The program that the launcher would execute: like it, relative directories are passed over. null where there is none. */
export function findOnPath(program: string, path = ''): string | null {
  const directories = path.split(':').filter(directory => directory.startsWith('/'))
  return directories.map(directory => join(directory, program)).find(isExecutable) ?? null
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG')) return false
    throw error
  }
}
