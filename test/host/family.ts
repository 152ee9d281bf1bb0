import { readdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readElf } from '../../lib/elf/reader.js'
import type { ElfFacts } from '../../lib/elf/types.js'
import { type FamilyCandidate, lockstepFamily } from '../../lib/host/family.js'
import { openHostFile } from '../../lib/loader/root-file-system.js'
import { hostLoader, library } from '../container/tree.js'

function candidate(
  path: string,
  defines: readonly string[],
  needs: readonly string[] = [],
  machine = 62,
): FamilyCandidate {
  const facts = {
    class: 64,
    machine,
    verdefs: defines.map(name => ({ name, weak: false })),
    verneeds: needs.map(version => ({ file: 'any', version, weak: false })),
  }
  return { path, facts: facts as unknown as ElfFacts }
}

t.test('a private version ties who defines and who needs it, and the name-space follows', async t => {
  const all = [
    candidate('/libc', ['GLIBC_2.2.5', 'GLIBC_PRIVATE']),
    candidate('/ld', ['GLIBC_PRIVATE'], []),
    candidate('/libm', ['GLIBC_2.2.5'], ['GLIBC_PRIVATE', 'GLIBC_2.2.5']),
    candidate('/libpthread', ['GLIBC_2.2.5'], ['GLIBC_2.2.5']),
    candidate('/libstdc++', ['GLIBCXX_3.4'], ['GLIBC_2.2.5']),
    candidate('/app', [], ['GLIBC_2.2.5']),
    candidate('/nss', ['NSS_1'], ['GLIBC_PRIVATE', 'OTHER_PRIVATE']),
    candidate('/other', ['OTHER_PRIVATE']),
    candidate('/arm/libc', ['GLIBC_PRIVATE'], [], 183),
    candidate('/orphan', [], ['GONE_PRIVATE']),
  ]
  const family = ['/ld', '/libc', '/libm', '/libpthread', '/nss', '/other']
  for (const seed of family) t.same(lockstepFamily([seed], all), family, seed)
  for (const seed of ['/app', '/libstdc++', '/orphan', '/absent']) t.same(lockstepFamily([seed], all), [], seed)
  t.same(lockstepFamily(['/arm/libc'], all), ['/arm/libc'])
  t.same(lockstepFamily(['/app', '/libm'], all), family)
})

t.test('a pair that was compiled', async t => {
  const core = library(
    'libcore.so.1',
    'int a(void) { return 1; } int b(void) { return 1; }',
    'CORE_1 { a; }; CORE_PRIVATE { b; };',
  )
  const part = library('libpart.so.1', 'int b(void); int c(void) { return b(); }', 'PART_1 { c; };', {
    'libcore.so.1': core,
  })
  const user = library('libuser.so.1', 'int a(void); int d(void) { return a(); }', 'USER_1 { d; };', {
    'libcore.so.1': core,
  })
  const candidates = Object.entries({ core, part, user }).map(([path, bytes]) => ({
    path,
    facts: readElf({
      size: bytes.length,
      read: (buffer, position) => bytes.copy(buffer, 0, position),
      close: () => {},
    }),
  }))
  t.same(lockstepFamily(['core'], candidates), ['core', 'part'])
  t.same(lockstepFamily(['user'], candidates), [])
})

t.test("this machine's glibc: every library that dpkg says is of libc6", async t => {
  const { directory } = hostLoader()
  const paths = readdirSync(directory).filter(name => /^(lib[\w+-]+|ld-[\w-]+)\.so\.\d+$/.test(name))
  const candidates = paths.map(name => {
    const path = realpathSync(join(directory, name))
    const file = openHostFile(path)
    try {
      return { path, facts: readElf(file) }
    } finally {
      file.close()
    }
  })
  const family = lockstepFamily([join(directory, 'libc.so.6')], candidates)
  for (const name of [
    'ld-linux-x86-64.so.2',
    'libc.so.6',
    'libm.so.6',
    'libpthread.so.0',
    'libresolv.so.2',
    'libnss_files.so.2',
  ])
    t.ok(family.includes(join(directory, name)), name)
  t.notOk(family.some(path => /libstdc\+\+|libgcc_s|libz\./.test(path)))
})
