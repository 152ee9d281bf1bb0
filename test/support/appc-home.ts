import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile } from './fixtures.js'
import { APPC } from './node.js'
import { makeSmallTree } from './small-tree.js'

/** A directory with a store, in which appc is called as from a shell, and a tree with one program to pack. */
export class AppcHome {
  // Open to all, as what lies in a closed directory would be secret.
  readonly home = mkdtempSync('/tmp/appc-test-')
  readonly store = join(this.home, 'store')
  readonly tree = join(this.home, 'tree')

  constructor() {
    chmodSync(this.home, 0o755)
    makeSmallTree(this.tree)
    compile(this.tree, 'usr/bin/program', 'int main(void) { return 0; }')
  }

  readonly remove = (): void => rmSync(this.home, { recursive: true })

  environment(env: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
    return { ...process.env, APPC_HOME: this.store, ...env }
  }

  readonly appc = (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const [command, ...before] = APPC
    const options = { encoding: 'utf8', env: this.environment(env) } as const
    const { status, stdout, stderr } = spawnSync(command, [...before, ...args], options)
    return { status, stdout, stderr }
  }

  readonly pack = (name: string, ...words: readonly string[]) =>
    this.appc(['pack', '--root', this.tree, '--name', name, ...words])

  /** Writes a file and returns its path. */
  readonly file = (name: string, content: string | Buffer, mode = 0o644): string => {
    const path = join(this.home, name)
    writeFileSync(path, content)
    chmodSync(path, mode)
    return path
  }
}
