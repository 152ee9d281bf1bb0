import { familiesAmong, privateNeeds } from './lockstep.js'
import type { Code, Import, SmallWorld } from './model.js'
import { bind, defines, type Loaded, missingVersions, type Process, type Search, start } from './process.js'

/** What the rules of docs/deciding.md say about one set of private libraries. */
export interface Verdict {
  /** What must not be, in words; none where all rules hold. */
  readonly broken: readonly string[]
  /** The host's programs that would not work inside. */
  readonly neighbours: readonly string[]
  /** Pairs in one process that were not together at home, and have a name or all in common; with who brings them. */
  readonly clashes: readonly string[]
}

/** Judges sets of private sonames in one world; knows nothing of how appc decides. */
export class Judge {
  private readonly families: readonly ReadonlySet<string>[]

  constructor(
    private readonly world: SmallWorld,
    /** Sonames that the container has. */
    private readonly held: ReadonlySet<string>,
  ) {
    const packed = [...held].flatMap(name => {
      const code = world.libraries[name]?.home
      return code ? [[name, code] as const] : []
    })
    this.families = familiesAmong(new Map(packed))
  }

  of(chosen: ReadonlySet<string>): Verdict {
    const programs = this.world.programs.map((code, index) => this.program(chosen, code, `app${index}`))
    return {
      broken: [...this.policy(chosen), ...this.halves(chosen), ...programs.flatMap(({ broken }) => broken)],
      neighbours: this.neighbours(chosen),
      clashes: [...new Set(programs.flatMap(({ clashes }) => clashes))],
    }
  }

  private policy(chosen: ReadonlySet<string>): readonly string[] {
    return Object.entries(this.world.policy).flatMap(([soname, choice]) =>
      this.held.has(soname) && chosen.has(soname) !== (choice === 'private') ? [`${soname} must be ${choice}`] : [],
    )
  }

  /** Of one build: all or none, those too that no program of the container's loads. */
  private halves(chosen: ReadonlySet<string>): readonly string[] {
    return this.families.flatMap(family => {
      const isPrivate = new Set([...family].map(name => chosen.has(name)))
      return isPrivate.size > 1 ? [`half of ${[...family]}`] : []
    })
  }

  private areRelatives(one: string, other: string): boolean {
    return this.families.some(family => family.has(one) && family.has(other))
  }

  /** The file that each side has of a soname. */
  private readonly atHome: Search = name => loaded(name, this.world.libraries[name]?.home ?? null, true)
  private readonly onHost: Search = name => loaded(name, this.world.libraries[name]?.host ?? null, false)

  private mixed(chosen: ReadonlySet<string>): Search {
    return name => (chosen.has(name) ? this.atHome(name) : this.onHost(name))
  }

  private program(chosen: ReadonlySet<string>, code: Code, name: string): { broken: string[]; clashes: string[] } {
    const program = { name, code, isPrivate: true }
    const home = start(program, this.atHome)
    const mix = start(program, this.mixed(chosen))
    return {
      broken: [
        ...mix.missing.map(({ by, name }) => `${by} needs ${name}`),
        ...missingVersions(mix).map(({ by, of, version }) => `${by} needs ${version} of ${of}`),
        ...strangeBuilds(mix),
        ...this.symbols(home, mix),
      ],
      clashes: clashesIn(home, mix),
    }
  }

  /** Rule 3: nothing that resolves in its home scope becomes unresolved, or moves to another soname. */
  private symbols(home: Process, mix: Process): readonly string[] {
    return mix.objects.flatMap(object =>
      object.code.imports.flatMap(wanted => {
        const names = this.suppliers(object, wanted, home)
        if (names.length === 0) return []
        const wants = `${object.name} needs ${wanted.name}@${wanted.version?.name ?? ''} of ${names}`
        const provider = bind(mix, wanted)
        if (provider === null) return [wants]
        const isRight = names.some(name => name === provider.name || this.areRelatives(name, provider.name))
        const isUsual = this.isUsualOutside(object, wanted, provider) || bind(home, wanted)?.name === provider.name
        return isRight || isUsual ? [] : [`${wants}, not of ${provider.name}`]
      }),
    )
  }

  /** A library of the host's takes a name from whichever of the host's that have it a program loads first. */
  private isUsualOutside(object: Loaded, wanted: Import, provider: Loaded): boolean {
    const outside = this.onHost(provider.name)
    return !object.isPrivate && outside !== null && defines(outside.code, wanted)
  }

  /** Who supplied this at home; none where nobody did, so that nobody has to. */
  private suppliers(object: Loaded, wanted: Import, home: Process): readonly string[] {
    const names = this.homesOf(object, home).flatMap(({ asker, scope }) =>
      asker.imports.some(other => isSame(other, wanted)) ? (bind(scope, wanted)?.name ?? []) : [],
    )
    // A half upgraded host: what is short of a symbol at its own home cannot stand for the container's, which was not.
    const isHalf = names.length === 0 && !object.isPrivate && !wanted.weak
    const stands = home.objects.some(({ name }) => name === object.name)
    return isHalf && stands && wanted.version !== null ? [wanted.version.of] : names
  }

  /**
   * Where an object's references were bound: the container's in the process of its program, or by itself where that did not load it;
   * the host's on the bare host, and as those of the container's file that it stands for.
   */
  private homesOf(object: Loaded, home: Process): readonly { readonly asker: Code; readonly scope: Process }[] {
    const twin = home.objects.find(({ name }) => name === object.name)
    const there = twin === undefined ? [] : [{ asker: twin.code, scope: home }]
    if (!object.isPrivate) return [{ asker: object.code, scope: start(object, this.onHost) }, ...there]
    return twin === undefined ? [{ asker: object.code, scope: start(object, this.atHome) }] : there
  }

  /** Rule 5, for programs, and for libraries that nobody needs, which are opened by name. */
  private neighbours(chosen: ReadonlySet<string>): readonly string[] {
    const { libraries, neighbours } = this.world
    const all = [
      ...neighbours.map((code, index) => ({ name: `host${index}`, code, isPrivate: false })),
      ...Object.keys(libraries).flatMap(name => this.onHost(name) ?? []),
    ]
    const needed = new Set(all.flatMap(({ code }) => code.needed))
    const opened = all.filter(({ name }) => !needed.has(name) && !chosen.has(name))
    return opened.filter(neighbour => this.isWorse(chosen, neighbour)).map(({ name }) => name)
  }

  private isWorse(chosen: ReadonlySet<string>, neighbour: Loaded): boolean {
    const outside = start(neighbour, this.onHost)
    const inside = start(neighbour, this.mixed(chosen))
    const known = new Set(failures(outside))
    return (
      failures(inside).some(failure => !known.has(failure)) ||
      inside.objects.some(object => !object.isPrivate && losesSymbol(object, outside, inside))
    )
  }
}

function loaded(name: string, code: Code | null, isPrivate: boolean): Loaded | null {
  return code && { name, code, isPrivate }
}

function isSame(one: Import, other: Import): boolean {
  return one.name === other.name && one.version?.name === other.version?.name
}

function failures(process: Process): readonly string[] {
  return [
    ...process.missing.map(({ by, name }) => `${by} needs ${name}`),
    ...missingVersions(process).map(({ by, of, version }) => `${by} needs ${version} of ${of}`),
    ...strangeBuilds(process),
  ]
}

/** Who shares private versions in one process, and comes from two sides. */
function strangeBuilds({ objects }: Process): readonly string[] {
  return objects.flatMap(asker =>
    privateNeeds(asker.code).flatMap(({ of, version }) => {
      const provider = objects.find(({ name }) => name === of)
      const isOne = provider === undefined || provider.isPrivate === asker.isPrivate
      return isOne ? [] : [`${asker.name} shares ${version} with another build of ${of}`]
    }),
  )
}

function losesSymbol({ code }: Loaded, outside: Process, inside: Process): boolean {
  return code.imports.some(wanted => !wanted.weak && bind(outside, wanted) !== null && bind(inside, wanted) === null)
}

/** What was not together in the process at home, and is one library under two sonames or exports the same names without versions. */
function clashesIn(home: Process, { objects, broughtBy }: Process): string[] {
  const known = new Set(home.objects.map(({ name }) => name))
  const libraries = objects.slice(1)
  const tell = ({ name }: Loaded) => `${name} by ${broughtBy.get(name)}`
  return libraries.flatMap((one, index) =>
    libraries.slice(index + 1).flatMap(other => {
      const together = known.has(one.name) && known.has(other.name)
      return together || !areAlike(one, other) ? [] : [[tell(one), tell(other)].sort().join(' and ')]
    }),
  )
}

function areAlike(one: Loaded, other: Loaded): boolean {
  const plain = ({ code }: Loaded) => code.exports.filter(({ version }) => version === null).map(({ name }) => name)
  const names = new Set(plain(one))
  return stem(one.name) === stem(other.name) || plain(other).some(name => names.has(name))
}

function stem(soname: string): string {
  return soname.slice(0, soname.indexOf('.so'))
}
