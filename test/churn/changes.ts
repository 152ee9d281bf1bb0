import type { Random } from '../fuzz/random.js'
import { hostBuilds, SONAMES } from './builds.js'
import { DIRECTORY, fileBehind, LINKED, LOCAL, type MadeUpHost, RUNPATH, TWINS } from './made-up-host.js'

/** Changes of a host, each as often among others as `weight` says. */
const CHANGES: readonly {
  readonly weight: number
  readonly make: (host: MadeUpHost, random: Random) => void | Promise<void>
}[] = [
  { weight: 40, make: replace },
  { weight: 14, make: vanishOrReturn },
  { weight: 8, make: touch },
  { weight: 8, make: exchangeLink },
  { weight: 10, make: changeNearby },
  { weight: 14, make: appearElsewhere },
  { weight: 5, make: host => host.ldconfig() },
  { weight: 1, make: host => host.forgetCache() },
]

export async function changeAtRandom(host: MadeUpHost, random: Random): Promise<void> {
  let left = random.below(CHANGES.reduce((sum, { weight }) => sum + weight, 0))
  for (const { weight, make } of CHANGES) {
    if (left < weight) return make(host, random)
    left -= weight
  }
}

/** A file of its own, or one behind the link. */
function usualPath(random: Random, soname: string): string {
  return LINKED.includes(soname) ? fileBehind(soname, random.below(2)) : `${DIRECTORY}/${soname}`
}

function putAtRandom(host: MadeUpHost, random: Random, path: string, soname: string): void {
  host.put(path, random.pick(hostBuilds(soname)))
}

function replace(host: MadeUpHost, random: Random): void {
  const soname = random.pick(SONAMES)
  putAtRandom(host, random, usualPath(random, soname), soname)
}

function vanishOrReturn(host: MadeUpHost, random: Random): void {
  const gone = SONAMES.filter(soname => !LINKED.includes(soname) && !host.has(`${DIRECTORY}/${soname}`))
  // Never so many that hardly anything is left to be shared.
  const soname = gone.length > 1 ? random.pick(gone) : random.pick(SONAMES)
  const path = usualPath(random, soname)
  if (host.has(path)) host.remove(path)
  else putAtRandom(host, random, path, soname)
}

function touch(host: MadeUpHost, random: Random): void {
  const path = `${DIRECTORY}/${random.pick(SONAMES)}`
  host.touch(host.has(path) ? path : DIRECTORY)
}

function exchangeLink(host: MadeUpHost, random: Random): void {
  const soname = random.pick(LINKED)
  host.link(`${DIRECTORY}/${soname}`, fileBehind(soname, random.below(2)))
}

function changeNearby(host: MadeUpHost, random: Random): void {
  const name = random.pick(['libnear.so.1', 'liba.so.2', 'liba.so.1.bak', 'README'])
  host.putNearby(name, random.once(3) ? null : 'not a library')
}

/** Where it is found before the usual one: at once, for better processors, or with the next cache. */
function appearElsewhere(host: MadeUpHost, random: Random): void {
  const soname = random.pick(['liba.so.1', 'libd.so.1', 'libe.so.1'])
  const path = `${random.pick([RUNPATH, TWINS, LOCAL])}/${soname}`
  if (host.has(path)) host.remove(path)
  else putAtRandom(host, random, path, soname)
}
