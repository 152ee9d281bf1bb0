import { chmodSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { compile, temporaryDirectory } from './fixtures.js'

const source = fileURLToPath(new URL('../../../test/support/refusing.c', import.meta.url))
let program: string | undefined

/**
 * The words to put before a command, so that the kernel refuses it some system calls: `fsopen:ENODEV`, `fsconfig@1=6:EINVAL`. See
 * refusing.c.
 */
export function refusing(...rules: readonly string[]): readonly [string, ...string[]] {
  program ??= build()
  return [program, ...rules, '--']
}

function build(): string {
  const directory = temporaryDirectory()
  // For the unprivileged user of the tests.
  chmodSync(directory, 0o755)
  return compile(directory, 'refusing', readFileSync(source, 'utf8'), ['-Wall', '-Wextra', '-Werror'])
}
