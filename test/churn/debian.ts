import { execFileSync } from 'node:child_process'
import { statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { isExecutable, readContainer } from '../../lib/container/containers.js'
import { objectPath } from '../../lib/store/objects.js'
import type { Random } from '../fuzz/random.js'
import { users } from '../native/fixture.js'
import { system } from '../store/system.js'
import { Site } from '../support/site.js'
import { campaign } from './campaign.js'
import { DebianHost, LIBRARIES, reportSource } from './debian-host.js'
import { judgeVersions, type Own, parseVersions } from './debian-judge.js'
import { countingPath, type Kind, type Launch, planned } from './launching.js'
import { counted, NONE, type Result, type Tally, verdictOf } from './tally.js'

export interface Trees {
  /** With a compiler and the libraries; the program is put into it, and packed. */
  readonly origin: string
  /** Of an older release. It is copied. */
  readonly host: string
  /** Directories of packages for it, one for each release. */
  readonly archives: readonly string[]
}

const PROGRAM = '/usr/local/bin/report'

/** Has dpkg upgrade, downgrade and remove packages in a tree of Debian, while programs of a newer release start all the time. */
export async function churnDebian(cycles: number, random: Random, trees: Trees): Promise<Result> {
  const sites = users.map(([, user]) => new Site(user))
  try {
    const [first] = sites as [Site]
    const root = join(first.directory, 'host')
    execFileSync('cp', ['--archive', trees.host, root])
    const host = new DebianHost(root, trees.archives)
    await compileReport(first, trees.origin)
    const kinds: Kind[] = []
    for (const [at, site] of sites.entries()) {
      await site.pack(trees.origin, 'report', PROGRAM)
      kinds.push({ name: `${users[at]?.[0]}`, site, path: countingPath(site), args: ['--root', root, 'report'] })
    }
    const versions = versionsIn(trees.origin)
    const own = new Map(sites.map(site => [site, privateOf(site, versions)]))
    let tally = NONE
    // What a launch may have found is known when dpkg has ended.
    let waiting: Launch[] = []
    const judgeAll = () => {
      for (const launch of waiting) tally = judged(host, tally, launch, own.get(launch.kind.site) ?? new Map())
      waiting = []
    }
    const seconds = await campaign({
      kinds,
      cycles,
      random,
      change: () => host.change(random).then(judgeAll),
      pauseMs: () => random.below(500),
      restAfter: 5,
      launched: launch => void waiting.push(launch),
    })
    judgeAll()
    return { ...tally, cycles, seconds, planned: sites.reduce((sum, site) => sum + planned(site), 0) }
  } finally {
    for (const site of sites) site.remove()
  }
}

function judged(host: DebianHost, tally: Tally, launch: Launch, own: ReadonlyMap<string, Own>): Tally {
  const moments = host.history.between(launch.from, launch.until)
  const states = moments.map(({ state }) => state)
  const verdict = verdictOf(launch, { any: moments.length > 1, uncovered: false }, text =>
    judgeVersions(text, states, own),
  )
  return counted(tally, verdict, () =>
    [`  ${launch.kind.name}`, ...moments.map(({ change }) => `  ${change}`), launch.stdout].join('\n'),
  )
}

/** By the tree's own compiler, in the tree. */
async function compileReport(site: Site, tree: string): Promise<void> {
  writeFileSync(join(site.home, 'report.c'), reportSource())
  const options = [
    '-Wl,-z,now,--no-as-needed',
    '-o',
    'report',
    'report.c',
    ...LIBRARIES.map(({ soname }) => `-l:${soname}`),
  ]
  const { status, stderr } = await site.run(['--root', tree, '/usr/bin/gcc', ...options])
  if (status !== 0) throw new Error(stderr)
  execFileSync('install', ['-D', join(site.home, 'report'), join(tree, PROGRAM)])
}

/** What the libraries of a tree say of themselves, by soname. */
function versionsIn(tree: string): ReadonlyMap<string, string> {
  const text = execFileSync(
    'unshare',
    ['--mount', 'sh', '-c', 'mount --rbind /proc "$0/proc" && exec chroot "$@"', tree, tree, PROGRAM],
    {
      encoding: 'utf8',
    },
  )
  return new Map(parseVersions(text)?.map(({ soname, version }) => [soname, version]))
}

/** The container's libraries in a store, of which the view's files are links. */
function privateOf(site: Site, versions: ReadonlyMap<string, string>): ReadonlyMap<string, Own> {
  const store = { home: site.store, system }
  const own = new Map<string, Own>()
  for (const file of readContainer(store, 'report').manifest.files) {
    if (file.type !== 'file' || file.elf?.role !== 'library') continue
    const soname = file.elf.soname ?? basename(file.path)
    const version = versions.get(soname)
    const { ino: inode } = statSync(objectPath(store, file.sha256, isExecutable(file.mode)))
    if (version !== undefined) own.set(soname, { version, inode })
  }
  return own
}
