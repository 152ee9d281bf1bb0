import { spawnSync } from 'node:child_process'
import { chmodSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { MemoryTree } from '../../lib/loader/memory-file-system.js'

/** Writes a made-up tree below a directory, so that the kernel and the real loader can be asked about it. Files may be executed. */
export function writeTree(tree: MemoryTree, directory: string): void {
  const modes: (readonly [path: string, mode: number])[] = []
  for (const [path, node] of Object.entries(tree)) {
    const place = join(directory, path)
    mkdirSync(dirname(place), { recursive: true })
    if (node === 'directory') mkdirSync(place, { recursive: true })
    else if (node instanceof Uint8Array) writeFileSync(place, node, { mode: 0o755 })
    else if ('target' in node) symlinkSync(node.target, place)
    else if ('bytes' in node) {
      writeFileSync(place, node.bytes)
      modes.push([place, node.mode ?? 0o644])
    } else if ('directoryMode' in node) {
      mkdirSync(place, { recursive: true })
      modes.push([place, node.directoryMode])
    }
  }
  for (const [path, node] of Object.entries(tree)) {
    if (typeof node === 'object' && 'sameAs' in node) linkSync(join(directory, node.sameAs), join(directory, path))
  }
  // At the end: what cannot be searched can be filled no more.
  for (const [place, mode] of modes) chmodSync(place, mode)
}

/** So that who may not do everything can take it away again. */
export function openTree(tree: MemoryTree, directory: string): void {
  for (const [path, node] of Object.entries(tree)) {
    if (typeof node === 'object' && 'directoryMode' in node) chmodSync(join(directory, path), 0o755)
  }
}

/**
 * Runs a program with that directory as its root and exactly this environment, without the right to read what its mode forbids: by
 * that the owner's bits count for root too.
 */
export function runInTree(
  directory: string,
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const enter = 'chroot(shift) && chdir("/") && exec({ $ARGV[0] } @ARGV); die $!'
  const unprivileged = ['setpriv', '--bounding-set=-dac_override,-dac_read_search']
  const cleared = ['perl', '-e', `%ENV = (); while ($ARGV[0] =~ /^(\\w+)=(.*)/s) { $ENV{$1} = $2; shift } ${enter}`]
  const assignments = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  return spawnSync('unshare', ['--map-root-user', ...unprivileged, ...cleared, ...assignments, directory, ...command], {
    encoding: 'utf8',
  })
}
