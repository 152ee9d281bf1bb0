import { createHash } from 'node:crypto'
import { chmodSync, copyFileSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { objectPath } from '../../lib/store/objects.js'
import type { Random } from '../fuzz/random.js'
import { users } from '../native/fixture.js'
import { temporaryDirectory } from '../support/fixtures.js'
import { Site } from '../support/site.js'
import { CONTAINER } from './builds.js'
import { campaign } from './campaign.js'
import { changeAtRandom } from './changes.js'
import type { Moment } from './history.js'
import { judge, parseReport } from './judge.js'
import { countingPath, type Kind, type Launch, planned } from './launching.js'
import { DIRECTORIES, DIRECTORY, LOCAL, MadeUpHost, RUNPATH } from './made-up-host.js'
import type { Copy, HostState } from './model.js'
import { counted, NONE, type Result, type Tally, verdictOf } from './tally.js'

/** Changes a made-up host, with libraries of all kinds, while programs start all the time. */
export async function churnMadeUpHost(cycles: number, random: Random): Promise<Result> {
  const directory = temporaryDirectory()
  chmodSync(directory, 0o755)
  const host = new MadeUpHost(directory)
  const sites = users.map(([, user]) => new Site(user))
  try {
    const kinds = await kindsOf(host, sites)
    let tally = NONE
    const seconds = await campaign({
      kinds,
      cycles,
      random,
      change: () => changeAtRandom(host, random),
      // In bursts, as packages are unpacked, with time for a plan between many of them.
      pauseMs: () => (random.once(6) ? random.below(700) : random.below(10)),
      restAfter: 50,
      launched: launch => {
        tally = judged(host, tally, launch)
      },
    })
    return { ...tally, cycles, seconds, planned: sites.reduce((sum, site) => sum + planned(site), 0) }
  } finally {
    for (const site of sites) site.remove()
  }
}

/** The container as each person, and as a plain program with its libraries beside it. */
async function kindsOf(host: MadeUpHost, sites: readonly Site[]): Promise<readonly Kind[]> {
  const kinds: Kind[] = []
  for (const [at, site] of sites.entries()) {
    const path = countingPath(site)
    await site.pack(host.origin, 'program', 'program')
    kinds.push({ name: `container, ${users[at]?.[0]}`, site, path, args: ['--root', host.root, 'program'] })
    if (at > 0) continue
    copyFileSync(join(host.origin, 'usr/bin/program'), join(site.home, 'program'))
    const args = ['--root', host.root, '--lib', join(host.origin, DIRECTORY), './program']
    kinds.push({ name: 'plain program', site, path, args })
  }
  return kinds
}

function judged(host: MadeUpHost, tally: Tally, launch: Launch): Tally {
  const moments = host.history.between(launch.from, launch.until)
  const changed = { any: moments.length > 1, uncovered: uncoveredIn(moments).length > 1 }
  const verdict = verdictOf(launch, changed, text => {
    const report = parseReport(text)
    if (report === null) return `it told ${JSON.stringify(text)}`
    return judge(report, {
      container: CONTAINER,
      runpath: RUNPATH,
      directories: DIRECTORIES,
      states: moments.map(({ state }) => state),
      inodeOf: copy => (copy.generation === 0 ? privateInode(host, launch.kind.site, copy) : host.inodeOf(copy)),
    })
  })
  return counted(tally, verdict, () => {
    const changes = moments.map(({ change, from }) => `  ${Number(from - launch.from) / 1e6} ms: ${change}`)
    const { kind, from, until, stdout } = launch
    return [`  ${kind.name}, ${Number(until - from) / 1e6} ms`, ...changes, stdout].join('\n')
  })
}

/** What was where nothing private need lie: in some directories, and the loader's cache. Each state of that once. */
function uncoveredIn(moments: readonly Moment<HostState>[]): readonly string[] {
  const states = moments.map(({ state }) => [
    ...[...(state.cache ?? [])].map(([soname, path]) => `${soname} => ${path}`),
    ...[...state.files].flatMap(([path, { generation }]) =>
      path.startsWith(RUNPATH) || path.startsWith(LOCAL) ? [`${path} ${generation}`] : [],
    ),
  ])
  return [...new Set(states.map(state => state.join()))]
}

/** The view's files are links of the store's objects. */
function privateInode(host: MadeUpHost, { store }: Site, { soname }: Copy): number | undefined {
  const bytes = readFileSync(join(host.origin, DIRECTORY, soname))
  const digest = createHash('sha256').update(bytes).digest('hex')
  return statSync(objectPath({ home: store }, digest, false), { throwIfNoEntry: false })?.ino
}
