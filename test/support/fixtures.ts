import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** A fresh directory (without symlinks in its path) that is removed when the test process ends. */
export function temporaryDirectory(): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'appc-test-')))
  if (directories.push(directory) === 1) process.on('exit', removeDirectories)
  return directory
}

const directories: string[] = []

function removeDirectories(): void {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
}

/** Compiles C `source` to `name` (a path) below `dir`, run from there, and returns the absolute path. */
export function compile(dir: string, name: string, source: string, flags: readonly string[] = []): string {
  const path = join(dir, name)
  mkdirSync(dirname(path), { recursive: true })
  const input = `${path}.c`
  writeFileSync(input, source)
  execFileSync('gcc', ['-o', path, input, ...flags], { cwd: dir, stdio: ['ignore', 'inherit', 'inherit'] })
  rmSync(input)
  return path
}
