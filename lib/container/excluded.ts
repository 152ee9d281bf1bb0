/** What a package ships that is left behind: paths by prefix. */
export interface Leaving {
  readonly withDocumentation: boolean
  readonly withLocales: boolean
}

const DOCUMENTATION = ['doc', 'doc-base', 'man', 'info', 'lintian', 'bug', 'gtk-doc', 'help'].map(
  name => `/usr/share/${name}`,
)
const LOCALES = ['/usr/share/locale']
/** The machine's own: state, what is mounted, what lives as long as the system runs. */
const NEVER = ['/var', '/run', '/tmp', '/dev', '/proc', '/sys']

/**
 * The host's own business, never laid over: what is there is the machine's state, its users' or the kernel's, and must be
 * seen live. (An overlay hides mounts below it and shows changes of the host late.)
 */
export const NEVER_COVERED = [
  '/run',
  '/var',
  '/home',
  '/root',
  '/tmp',
  '/dev',
  '/proc',
  '/sys',
  '/boot',
  '/srv',
  '/mnt',
  '/media',
]

/**
 * An empty directory of this name is at the top of every layer of a view: there a launch from inside finds the host's own directory
 * (docs/architecture.md). No packed path may have it.
 */
export const HOST_BELOW = '.appc-host'

export function isReserved(path: string): boolean {
  return path.split('/').includes(HOST_BELOW)
}

/** A test for canonical paths that packages ship and containers do not hold. */
export function excluder({ withDocumentation, withLocales }: Leaving): (path: string) => boolean {
  const prefixes = [...NEVER, ...(withDocumentation ? [] : DOCUMENTATION), ...(withLocales ? [] : LOCALES)]
  return path => isReserved(path) || prefixes.some(prefix => path === prefix || path.startsWith(`${prefix}/`))
}
