import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const makeRoot = fileURLToPath(new URL('../../../scripts/make-root', import.meta.url))

/** Trees last from one run to the next. Root's are where the unprivileged user of the tests can read them. */
export const cache =
  process.geteuid?.() === 0 ? '/var/cache' : (process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'))

const ready = new Set<string>()

function root(suite: string, ...packages: readonly string[]): string {
  const directory = join(cache, 'appc/test-roots', [suite, ...packages].join('-'))
  if (ready.has(directory)) return directory
  mkdirSync(join(cache, 'appc/test-roots'), { recursive: true, mode: 0o755 })
  execFileSync(makeRoot, [suite, directory, ...packages], { stdio: ['ignore', 'ignore', 'inherit'] })
  ready.add(directory)
  return directory
}

/** Trees of other Debian suites with a filled dpkg database. Whoever uses them must not write in them. */
export const roots = {
  trixie: () => root('trixie', 'curl', 'git', 'jq', 'python3', 'sqlite3'),
  bullseye: () => root('bullseye', 'apt', 'curl', 'git', 'jq', 'perl', 'python3', 'sqlite3'),
  trixieCompiler: () => root('trixie', 'g++', 'gcc', 'libc6-dev'),
}
