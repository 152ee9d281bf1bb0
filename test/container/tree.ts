import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DebianPackage, installPackages } from '../host/debian.js'

/**
 * Compiles a few lines of C with these flags and gives the ELF file's bytes. Libraries to link with come by file name, a version
 * script as text. What was compiled before in this process is not compiled again.
 */
export function compile(
  source: string,
  flags: readonly string[],
  libraries: Readonly<Record<string, Buffer>> = {},
  script = '',
): Buffer {
  const digests = Object.entries(libraries).map(([name, bytes]) => [
    name,
    createHash('sha256').update(bytes).digest('hex'),
  ])
  const key = JSON.stringify([source, flags, digests, script])
  // A copy for each: some are damaged on purpose.
  const known = compiled.get(key)
  if (known !== undefined) return Buffer.from(known)
  const work = mkdtempSync(join(tmpdir(), 'appc-cc-'))
  try {
    for (const [name, bytes] of Object.entries({ ...libraries, map: script })) writeFileSync(join(work, name), bytes)
    const linked = Object.keys(libraries).map(name => join(work, name))
    const versions = script === '' ? [] : [`-Wl,--version-script=${join(work, 'map')}`]
    const options = ['-xc', '-', '-xnone', ...flags, ...versions, '-Wl,--build-id=none', ...linked]
    // Reproducible: the same source is the same container in every test.
    execFileSync('cc', ['-o', join(work, 'out'), ...options], {
      input: source,
      cwd: work,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const bytes = readFileSync(join(work, 'out'))
    compiled.set(key, Buffer.from(bytes))
    return bytes
  } finally {
    rmSync(work, { recursive: true })
  }
}

const compiled = new Map<string, Buffer>()

/** A library of C source with a soname and, where versions are wanted, a version script. */
export function library(
  soname: string,
  source: string,
  script = '',
  libraries: Readonly<Record<string, Buffer>> = {},
): Buffer {
  return compile(source, ['-shared', '-fPIC', `-Wl,-soname,${soname}`, '-nostdlib'], libraries, script)
}

/** This machine's own loader and C library, as bytes. */
export function hostLoader(): {
  readonly interpreter: string
  readonly directory: string
  readonly loader: Buffer
  readonly libc: Buffer
} {
  const interpreter = '/lib64/ld-linux-x86-64.so.2'
  const directory = realpathSync(interpreter).replace(/\/[^/]*$/, '')
  return { interpreter, directory, loader: readFileSync(interpreter), libc: readFileSync(join(directory, 'libc.so.6')) }
}

/** An application with a library, a plugin, an essential shell, a C library in two packages: one of everything that packing knows. */
export function exampleTree(root: string): string {
  const { directory, loader, libc } = hostLoader()
  const one = library('libone.so.1', 'int one(void) { return 1; }', 'ONE_1 { one; };')
  const extra = library('libextra.so.1', 'int extra(void) { return 1; }')
  const app = compile('int one(void); int main(void) { return one(); }', [], { 'libone.so.1': one })
  const plugin = compile('int absent(void); int plugin(void) { return absent(); }', ['-shared', '-fPIC'], {
    'libabsent.so.9': library('libabsent.so.9', 'int absent(void) { return 1; }'),
  })
  const needsExtra = compile('int extra(void); int extended(void) { return extra(); }', ['-shared', '-fPIC'], {
    'libextra.so.1': extra,
  })
  const packages: DebianPackage[] = [
    // Ships what is everybody's: such directories are the host's.
    { control: { Package: 'base-files', Essential: 'yes' }, files: { '/etc/issue': 'x', '/usr/lib64/.keep': '' } },
    {
      control: { Package: 'libc6', 'Multi-Arch': 'same', Version: '2.36-9' },
      files: {
        [`${directory}/libc.so.6`]: libc,
        [`${directory}/ld-linux-x86-64.so.2`]: loader,
        [`${directory}/gconv/gconv-modules`]: 'module',
        '/lib64/ld-linux-x86-64.so.2': { link: `${directory}/ld-linux-x86-64.so.2` },
      },
    },
    {
      control: { Package: 'libc-bin', Depends: 'libc6 (>> 2.36), libc6 (<< 2.37)', Essential: 'yes' },
      files: { '/usr/lib/locale/C.utf8/LC_CTYPE': 'data', '/usr/bin/getconf': '#!/bin/sh\n' },
    },
    {
      control: { Package: 'libone1', Depends: 'libc6 (>= 2.30)', 'Multi-Arch': 'same', Version: '1.2' },
      files: {
        [`${directory}/libone.so.1.2`]: one,
        [`${directory}/libone.so.1`]: { link: 'libone.so.1.2' },
        '/usr/share/doc/libone1/copyright': 'text',
      },
    },
    {
      control: { Package: 'libextra1', Essential: 'yes' },
      files: { [`${directory}/libextra.so.1`]: extra, '/usr/share/extra/data': 'x' },
    },
    {
      control: {
        Package: 'app',
        Depends: 'libone1 (= 1.2), absent | app-data, virtual-shell',
        Recommends: 'recommended',
      },
      files: {
        '/usr/bin/app': app,
        '/usr/bin/app-alias': { link: '/etc/alternatives/app' },
        '/usr/lib/app/plugin.so': plugin,
        '/usr/lib/app/extended.so': needsExtra,
        '/usr/lib/app/empty/.keep': '',
        '/usr/lib/app/script': '#!/usr/bin/env python3\n',
        '/usr/share/man/man1/app.1': 'manual',
        '/usr/share/locale/de/LC_MESSAGES/app.mo': 'text',
        '/var/lib/app/state': 'state',
        '/etc/app.conf': 'setting',
      },
    },
    {
      control: { Package: 'app-data', Architecture: 'all' },
      files: { '/usr/share/app/data': 'data', '/usr/lib/app/shared': 'x' },
    },
    {
      control: { Package: 'dash', Provides: 'virtual-shell', Essential: 'yes' },
      files: { '/usr/bin/dash': app, '/usr/bin/sh': { link: 'dash' } },
    },
    { control: { Package: 'whole', Depends: 'whole-minimal (= 1.0)' }, files: { '/usr/lib/whole/rest': 'x' } },
    { control: { Package: 'whole-minimal' }, files: { '/usr/bin/whole': app } },
    { control: { Package: 'recommended' }, files: { '/usr/bin/recommended': app } },
    { control: { Package: 'script', Depends: 'app-data' }, files: { '/usr/bin/script': '#! /bin/sh -e\n' } },
  ]
  return installPackages(root, packages)
}
