import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import type { Cold } from './cold.js'
import { type Launch, runCrowd } from './stage.js'
import { changesSince, differences, stateNow } from './state.js'

/** What came of many launches. */
export interface Mass {
  /** What the crowd tells: times, and what failed. */
  readonly told: string
  /** By how much each kind of the kernel's objects grew. */
  readonly growth: ReadonlyMap<string, number>
  readonly finding: string | null
}

/** All in the same moment, and all there at the same time. */
export async function launchAtOnce(crowd: string, count: number, launch: Launch): Promise<Mass> {
  const before = stateNow()
  const { told, failed } = runCrowd(crowd, 'once', count, launch)
  return { told, growth: new Map(), finding: asFinding(failed, await changesSince(before)) }
}

/** One after the other. */
export async function launchInARow(crowd: string, count: number, launch: Launch): Promise<Mass> {
  const before = stateNow()
  const objects = await settledObjects()
  const { told, failed } = runCrowd(crowd, 'row', count, launch)
  const changes = await changesSince(before)
  const grown = await settledObjects()
  const growth = new Map([...grown].map(([name, now]) => [name, now - (objects.get(name) ?? now)]))
  // Others on the machine have such too. What leaks with a launch is there as often as was launched.
  const leaks = [...growth].filter(([, more]) => more > 1000 + count / 20).map(([name]) => `${name} leaks`)
  return { told, growth, finding: asFinding(failed, changes, ...leaks) }
}

/** Launches that all find no plan: they leave in the store what one leaves. */
export async function launchAtOnceCold(crowd: string, count: number, launch: Cold): Promise<Mass> {
  launch.forget()
  const one = runCrowd(crowd, 'once', 1, launch)
  const expected = launch.files()
  launch.forget()
  const { files, ...rest } = stateNow()
  const { told, failed } = runCrowd(crowd, 'once', count, launch)
  const inStore = differences('store', expected, launch.files())
  return { told, growth: new Map(), finding: asFinding(one.failed, failed, await changesSince(rest), ...inStore) }
}

function asFinding(...findings: readonly (string | null)[]): string | null {
  return findings.filter(finding => finding !== null).join('; ') || null
}

/** Once no more are freed: the kernel does that behind those who end, and what is freed meanwhile would hide what leaks. */
async function settledObjects(): Promise<ReadonlyMap<string, number>> {
  for (let before = kernelObjects(), rounds = 0; ; rounds++) {
    await setTimeout(250)
    const now = kernelObjects()
    // Others on the machine never rest.
    if (rounds === 40 || [...now].every(([name, count]) => (before.get(name) ?? 0) - count < 100)) return now
    before = now
  }
}

/** Of the whole machine; without root only open files can be counted. */
function kernelObjects(): ReadonlyMap<string, number> {
  const files = Number(readFileSync('/proc/sys/fs/file-nr', 'utf8').split('\t')[0])
  const slabs = process.geteuid?.() === 0 ? readFileSync('/proc/slabinfo', 'utf8') : ''
  const counted = [...slabs.matchAll(/^(mnt_cache|nsproxy|user_namespace|pid|ovl_inode) +(\d+)/gm)]
  return new Map([['open files', files], ...counted.map(([, name = '', count]) => [name, Number(count)] as const)])
}
