import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { library } from '../container/tree.js'
import { fresh, launcher, libraries, program, tree } from '../decide/scenario.js'
import type { User } from '../native/fixture.js'
import { type Launch, witnessStatus } from './stage.js'

const appc = fileURLToPath(new URL('../../../dist/bin/appc/cli.js', import.meta.url))

/** A container of this installation, in a store of its own, whose next launch has to plan. */
export interface Cold extends Launch {
  /** The store as before the first launch. */
  forget(): void
  /** What is in the store. */
  files(): readonly string[]
}

/** Packs a program with a library that the machine lacks. Like the witness it waits until its input ends. */
export function coldContainer(user: User): Cold {
  const answer = library('libcampaign.so.1', 'const char* answer(void) { return "private"; }')
  const source = `
    #include <stdio.h>
    #include <unistd.h>
    const char* answer(void);
    int main(void) {
      char byte;
      puts(answer());
      fflush(stdout);
      while (read(0, &byte, 1) == 1) continue;
      return ${witnessStatus};
    }`
  const packed = {
    '/usr/bin/app': program(source, { 'libcampaign.so.1': answer }),
    [`${libraries}/libcampaign.so.1`]: answer,
  }
  const home = tree(packed)
  chmodSync(dirname(home), 0o755)
  const place = fresh()
  chownSync(place, user.uid, user.gid)
  const store = join(place, 'store')
  const environment = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, APPC_HOME: store }
  const pack = [appc, 'pack', '--root', home, '--name', 'cold', 'app']
  execFileSync(process.execPath, pack, { ...user, env: environment, cwd: place })
  const forget = () => {
    for (const name of ['plans', 'views']) {
      const directory = join(store, name)
      rmSync(directory, { recursive: true })
      mkdirSync(directory, { mode: 0o755 })
      chownSync(directory, user.uid, user.gid)
    }
  }
  const command = (before: readonly string[]) => [...before, launcher, 'cold']
  const files = () => readdirSync(store, { recursive: true, encoding: 'utf8' })
  return { name: 'planned', user, directory: '/', environment, command, report: 'private\n', forget, files }
}
