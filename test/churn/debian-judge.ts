import { compareVersions } from '../../lib/host/version.js'
import { type DebianLibrary, type DebianState, type Installed, LIBRARIES } from './debian-host.js'

/** What the container has of a library. */
export interface Own {
  /** As its code says. */
  readonly version: string
  readonly inode: number
}

interface Line {
  readonly soname: string
  readonly version: string
  readonly inode: number
}

/** Lines of `SONAME VERSION INODE`; null for anything else. */
export function parseVersions(text: string): readonly Line[] | null {
  const lines = text.split('\n').slice(0, -1)
  const parsed = lines.flatMap(line => {
    const [, soname, version, inode] = /^(\S+) (\d\S*) (\d+)$/.exec(line) ?? []
    return soname === undefined || version === undefined ? [] : [{ soname, version, inode: Number(inode) }]
  })
  return parsed.length === lines.length ? parsed : null
}

/**
 * What is wrong with what a program has mapped, while the host was in these states; null where nothing is. That the mix holds is seen
 * from its having started: it asks for all functions at once. A library may be private while it is missing, or does not serve, or is
 * just being replaced.
 */
export function judgeVersions(
  text: string,
  states: readonly DebianState[],
  own: ReadonlyMap<string, Own>,
): string | null {
  const lines = parseVersions(text)
  if (lines?.map(({ soname }) => soname).join() !== LIBRARIES.map(({ soname }) => soname).join())
    return `it told ${JSON.stringify(text)}`
  return (
    LIBRARIES.map((library, at) => faultOf(library, lines[at] as Line, states, own)).find(fault => fault !== null) ??
    null
  )
}

function faultOf(
  library: DebianLibrary,
  { soname, version, inode }: Line,
  states: readonly DebianState[],
  own: ReadonlyMap<string, Own>,
): string | null {
  const was = states.map(state => state.get(soname))
  const isChanging = new Set(was.map(installed => installed?.inode)).size > 1
  if (inode === own.get(soname)?.inode) {
    if (version !== own.get(soname)?.version) return `the container's ${soname} says that it is ${version}`
    const isRight = isChanging || was.some(installed => !serves(library, installed))
    return isRight ? null : `${soname} is private, though the host's ${was[0]?.version} serves`
  }
  const shared = was.some(installed => installed?.inode === inode && isOf(installed, version))
  return shared ? null : `${soname} ${version} (inode ${inode}) was not there any more, or not yet`
}

function serves({ needs }: DebianLibrary, installed: Installed | undefined): boolean {
  return installed !== undefined && (needs === undefined || compareVersions(installed.version, needs.since) >= 0)
}

/** 1.2.13 of 1:1.2.13.dfsg-1. */
function isOf(installed: Installed, version: string): boolean {
  return installed.version.replace(/^\d+:/, '').startsWith(version)
}
