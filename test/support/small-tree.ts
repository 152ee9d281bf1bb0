import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const LIBRARIES = '/usr/lib/x86_64-linux-gnu'

/** A root tree with merged /usr that holds nothing but this machine's C library, and no package database. */
export function makeSmallTree(tree: string): void {
  for (const path of ['usr/lib64', 'usr/bin', `.${LIBRARIES}`, 'etc', 'proc', 'sys', 'dev', 'tmp', 'home']) {
    mkdirSync(join(tree, path), { recursive: true })
  }
  for (const path of ['lib', 'lib64', 'bin']) symlinkSync(`usr/${path}`, join(tree, path))
  for (const name of ['libc.so.6', 'ld-linux-x86-64.so.2']) {
    copyFileSync(join(LIBRARIES, name), join(tree, LIBRARIES, name))
  }
  symlinkSync(`..${LIBRARIES.slice(4)}/ld-linux-x86-64.so.2`, join(tree, 'usr/lib64/ld-linux-x86-64.so.2'))
  writeFileSync(join(tree, 'etc/ld.so.conf'), `/usr/local/lib\n${LIBRARIES}\n`)
}
