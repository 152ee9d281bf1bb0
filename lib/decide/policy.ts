import { type PolicyRule, ruleFor } from '../container/policy.js'
import type { PackedRegular } from '../container/types.js'
import { compareVersions } from '../host/version.js'
import { sha256At } from '../loader/content.js'
import type { Finder } from './finder.js'
import type { Contents } from './home.js'
import { leadsTo } from './host-paths.js'
import type { DecisionProblem, Host, Reason } from './types.js'

/** Rule 6, in terms of what the search can and cannot take. */
export interface Fixed {
  /** Sonames that must stay the host's, and a sentence that says why. */
  readonly shared: ReadonlyMap<string, string>
  readonly private: ReadonlyMap<string, Reason>
  /** Packages that must be the host's as a whole, as a driver is in them or of their source. */
  readonly packages: ReadonlySet<string>
  /** What neither the host's library nor the container's can be. */
  readonly problems: readonly DecisionProblem[]
}

/**
 * What the packager, the site and the kernel's drivers fix. A site's rules come after the packager's. A driver is the host's
 * whatever they say: it belongs to its kernel.
 */
export function fixedBy(host: Host, finder: Finder, contents: Contents): Fixed {
  const shared = new Map<string, string>()
  const taken = new Map<string, Reason>()
  const problems: DecisionProblem[] = []
  const policy = [...(contents.manifest.policy ?? []), ...(host.policy ?? [])]
  const { packages, drivers } = driversOf(host, finder, contents)
  for (const [soname, file] of contents.libraries) {
    const driver = drivers.get(soname)
    if (driver !== undefined) {
      shared.set(soname, `${soname} must be the host's: ${driver}`)
      continue
    }
    const rule = policy.length === 0 ? {} : ruleFor(policy, soname)
    if (rule.choice === 'shared') shared.set(soname, `the policy has ${soname} shared`)
    const ask = new Asking(host, finder, contents, soname, file, rule)
    if (rule.choice !== 'shared') {
      const reason = ask.forPrivate()
      if (reason !== null) taken.set(soname, { rule: 'policy', text: reason })
    }
    problems.push(...ask.unmet(rule.choice === 'shared', taken.has(soname)))
  }
  return { shared, private: taken, packages, problems }
}

/**
 * The container's libraries that are drivers here, each with what tells it, and what goes with them: the other libraries of their
 * source are their insides (Mesa's libgbm.so.1 and libglapi.so.0), and come from the host that has them.
 */
function driversOf(
  host: Host,
  finder: Finder,
  contents: Contents,
): { readonly packages: ReadonlySet<string>; readonly drivers: ReadonlyMap<string, string> } {
  const known = host.drivers?.(finder.directories) ?? new Map<string, string>()
  const isHere = (soname: string) => finder.reachable(soname).length > 0
  const drivers = new Map<string, string>()
  const sources = new Map<string, string>()
  for (const [soname, file] of contents.libraries) {
    const driver = known.get(soname)
    if (driver === undefined || !isHere(soname)) continue
    drivers.set(soname, driver)
    const source = contents.sourceOf(file)
    if (source !== null) sources.set(source, soname)
  }
  const packages = new Set(
    contents.manifest.packages.flatMap(({ name, source }) =>
      sources.has(source ?? name) && host.packages?.named.has(name) ? [name] : [],
    ),
  )
  for (const [soname, file] of contents.libraries) {
    if (drivers.has(soname) || !packages.has(file.package ?? '') || !isHere(soname)) continue
    drivers.set(soname, `it is of one source with ${sources.get(contents.sourceOf(file) ?? '')}, a driver`)
  }
  return { packages, drivers }
}

/** What a rule asks of one soname. */
class Asking {
  constructor(
    private readonly host: Host,
    private readonly finder: Finder,
    private readonly contents: Contents,
    private readonly soname: string,
    private readonly file: PackedRegular,
    private readonly rule: Omit<PolicyRule, 'match'>,
  ) {}

  /** Why the host's library will not do; null where it may. */
  forPrivate(): string | null {
    const { soname, rule } = this
    if (rule.choice === 'private') return `the policy has ${soname} private`
    const path = this.hostFile()
    if (path === null) return null
    const { minimum, strictness } = rule
    const version = minimum !== undefined || strictness === 'not-older' ? this.hostVersion(path) : null
    if (minimum !== undefined && (version === null || compareVersions(version, minimum) < 0))
      return `the policy asks for at least ${minimum} of ${soname}; the host has ${version ?? 'one whose version nobody tells'}`
    if (strictness === 'not-older') {
      const packed = this.packedVersion()
      if (version === null || packed === null || compareVersions(version, packed) < 0)
        return `the policy asks for a ${soname} not older than ${packed ?? 'what was packed'}; the host has ${version ?? 'one whose version nobody tells'}`
    }
    if (strictness === 'identical' && !this.isSameBuild(path))
      return `the policy asks for the very build of ${soname} that was packed, and the host's is another`
    return null
  }

  /** Where neither side is what is asked for. */
  unmet(isShared: boolean, isTaken: boolean): readonly DecisionProblem[] {
    const { minimum } = this.rule
    if (minimum === undefined || (!isShared && !isTaken)) return []
    const path = isShared ? this.hostFile() : null
    const version = isShared ? path && this.hostVersion(path) : this.packedVersion()
    if (version !== null && compareVersions(version, minimum) >= 0) return []
    const whose = isShared ? "the host's, which is to be shared," : "the container's"
    const text = `the policy asks for at least ${minimum} of ${this.soname}; ${whose} is ${version ?? 'of a version that nobody tells'}`
    return [{ kind: 'clash', text, sonames: [this.soname] }]
  }

  private hostFile(): string | null {
    const first = this.finder.reachable(this.soname)[0]
    return first === undefined ? null : leadsTo(this.host.fs, first)
  }

  private hostVersion(path: string): string | null {
    return this.host.packages?.ownersOf(path)[0]?.version ?? null
  }

  private packedVersion(): string | null {
    return this.contents.manifest.packages.find(({ name }) => name === this.file.package)?.version ?? null
  }

  /** By build-id where there is one, else by the bytes. */
  private isSameBuild(path: string): boolean {
    const { fs, facts } = this.host
    const stat = fs.lstat(path)
    if (stat === null) return false
    const there = facts.inspect(fs, path, stat).facts?.buildId ?? null
    const here = this.file.elf?.buildId ?? null
    if (there !== null || here !== null) return there === here
    return stat.size === this.file.size && sha256At(fs, path) === this.file.sha256
  }
}
