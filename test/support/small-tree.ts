import { copyFileSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { compile } from './fixtures.js'

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

/** Puts a library of C source into a tree, over the one that is there as dpkg does it: a new file beside, renamed. */
export function upgrade(tree: string, path: string, source: string): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true })
  const flags = ['-shared', '-fPIC', `-Wl,-soname,${path.slice(path.lastIndexOf('/') + 1)}`]
  renameSync(compile(tree, `${path}.dpkg-new`, source, flags), join(tree, path))
}
