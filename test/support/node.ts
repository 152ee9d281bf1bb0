import { fileURLToPath } from 'node:url'

/**
 * Put before a command that starts a Node of its own below a test. tap has every Node below it load its hooks, which write into the
 * checkout: another user may not do that, and in a run that is killed at some system call their calls would be counted with the
 * program's. tap puts NODE_OPTIONS back into whatever environment a test gives, so it is taken out behind its back.
 */
export const WITHOUT_HOOKS = ['/usr/bin/env', '--unset=NODE_OPTIONS'] as const

/** Before arguments of appc's: the program as it is installed, which without the hooks starts in a third of the time. */
export const APPC = [
  ...WITHOUT_HOOKS,
  process.execPath,
  fileURLToPath(new URL('../../bin/appc/cli.js', import.meta.url)),
] as const
