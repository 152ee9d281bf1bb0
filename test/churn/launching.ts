import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { finished, type Ran, type Site } from '../support/site.js'

/** One way to start a program. */
export interface Kind {
  readonly name: string
  readonly site: Site
  /** For appc-run. */
  readonly args: readonly string[]
  /** The variable PATH. */
  readonly path: string
}

/** A launch that has ended, and when, in nanoseconds of CLOCK_MONOTONIC. */
export interface Launch extends Ran {
  readonly kind: Kind
  readonly from: bigint
  readonly until: bigint
}

/** A launch takes a second at most, and one that hangs must not hold up all. */
const TIMEOUT_MS = 60_000

export async function launch(kind: Kind): Promise<Launch> {
  const { site, args, path } = kind
  const from = process.hrtime.bigint()
  const child = site.start(site.launcher, args, { env: { PATH: path } })
  const hanging = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS)
  const ran = await finished(child)
  clearTimeout(hanging)
  return { kind, from, until: process.hrtime.bigint(), ...ran }
}

/** Launches again and again, until told to stop. */
export async function launchAll(
  kinds: readonly Kind[],
  isOver: () => boolean,
  pauseMs: () => number,
  judge: (launch: Launch) => void,
): Promise<void> {
  const inTurn = async (kind: Kind) => {
    while (!isOver()) {
      judge(await launch(kind))
      await pause(pauseMs())
    }
  }
  await Promise.all(kinds.map(inTurn))
}

/** A PATH on which each start of Node is counted: appc-run starts it to plan. */
export function countingPath(site: Site): string {
  const directory = join(site.home, 'counting')
  mkdirSync(directory)
  writeFileSync(join(directory, 'count'), '')
  chmodSync(join(directory, 'count'), 0o666)
  const script = `#!/bin/sh\necho >>${directory}/count\nexec ${process.execPath} "$@"\n`
  writeFileSync(join(directory, 'node'), script, { mode: 0o755 })
  return `${directory}:${site.environment.PATH}`
}

/** How often Node was started by this site's launches. */
export function planned(site: Site): number {
  return readFileSync(join(site.home, 'counting/count')).length
}
