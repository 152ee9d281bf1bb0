import type { ElfFacts } from '../elf/types.js'
import { AppcError } from '../errors.js'
import type { Loadable } from './assembly.js'
import type { FactsCache, Inspection } from './facts-cache.js'
import { errorCode, listing, resolveDirectory, resolvePath } from './file-system.js'
import { remember } from './remember.js'
import type { Answer } from './search.js'
import type { FileStat, FileSystem, Loader } from './types.js'
import { atLeast } from './version.js'

/** What the loader makes of one path. */
export type Probe =
  | { readonly kind: 'found'; readonly file: FoundFile }
  /** Not there, or passed over; `errno` is what the loader's open failed with. */
  | { readonly kind: 'absent'; readonly errno: string }
  /** There, and the end of the program. */
  | { readonly kind: 'fatal'; readonly because: string }

export interface FoundFile {
  /** As opened. */
  readonly path: string
  readonly realPath: string
  readonly facts: ElfFacts
  /** Device and inode: the same for the same file, whatever its name. */
  readonly id: string
  /** Kept with the file by whoever asks about it for program after program: see assembly.ts and glibc.ts. */
  loadable?: Loadable
  answers?: Map<string, Answer>
}

/** Paths as one root's loader would open them, each looked at once; and the names on which the answers rest. */
export class Candidates {
  readonly #probes = new Map<string, { probe: Probe; watched: readonly string[] }>()

  #interpreter: FoundFile | null = null

  constructor(
    readonly fs: FileSystem,
    readonly facts: FactsCache,
    readonly loader: Loader,
  ) {}

  /** Looks at a path; symlinks walked and absent names are added to `watched`. */
  probe(path: string, watched: Set<string>): Probe {
    const known = remember(this.#probes, path, () => this.#look(path))
    for (const name of known.watched) watched.add(name)
    return known.probe
  }

  /** Where a search directory really is, or null where there is none that can be searched. */
  directory(path: string): { readonly real: string | null; readonly watched: readonly string[] } {
    try {
      const { path: real, links, missing } = resolveDirectory(this.fs, path)
      return { real, watched: missing === null ? links : [...links, missing] }
    } catch (error) {
      errorCode(error)
      return { real: null, watched: [] }
    }
  }

  /** False where a listing shows that a name is not in a directory (a real path); true where it must be tried. */
  mayHold(directory: string, name: string): boolean {
    return listing(this.fs, directory)?.has(name) ?? true
  }

  isSetuid({ realPath }: FoundFile): boolean {
    return ((this.fs.lstat(realPath)?.mode ?? 0) & S_ISUID) !== 0
  }

  /** The loader's own file. */
  interpreter(): FoundFile {
    this.#interpreter ??= this.#openInterpreter()
    return this.#interpreter
  }

  #openInterpreter(): FoundFile {
    const { path, realPath } = this.loader
    const stat = this.fs.lstat(realPath)
    const facts = stat === null ? null : this.facts.inspect(this.fs, realPath, stat).facts
    if (stat === null || facts === null) throw new AppcError('FILE_MISSING', `the loader ${realPath} has gone`)
    return { path, realPath, facts, id: fileId(stat) }
  }

  #look(path: string): { probe: Probe; watched: readonly string[] } {
    let watched: readonly string[] = []
    try {
      const resolved = resolvePath(this.fs, path)
      watched = [...resolved.links, ...(resolved.missing === null ? [] : [resolved.missing])]
      if (resolved.path === null) {
        const blocked = resolved.links.length > 0 && this.fs.lstat(resolved.missing as string) !== null
        return { probe: { kind: 'absent', errno: blocked ? 'ENOTDIR' : 'ENOENT' }, watched }
      }
      return { probe: this.#open(path, resolved.path, resolved.stat), watched }
    } catch (error) {
      return { probe: { kind: 'absent', errno: errorCode(error) }, watched }
    }
  }

  #open(path: string, realPath: string, stat: FileStat): Probe {
    if (stat.kind === 'directory') return { kind: 'fatal', because: 'it is a directory' }
    if (stat.kind !== 'file') return { kind: 'fatal', because: 'it is not a regular file' }
    const inspection = this.facts.inspect(this.fs, realPath, stat)
    const verdict =
      this.loader.kind === 'glibc' ? glibcVerdict(inspection, this.loader) : muslVerdict(inspection, this.loader)
    if (verdict === 'foreign') return { kind: 'absent', errno: 'ENOENT' }
    if (verdict !== null) return { kind: 'fatal', because: verdict }
    const facts = inspection.facts as ElfFacts
    return { kind: 'found', file: { path, realPath, facts, id: fileId(stat) } }
  }
}

/** The same for the same file, whatever its name. */
export function fileId({ dev, ino }: FileStat): string {
  return `${dev}:${ino}`
}

const S_ISUID = 0o4000
const DF_1_PIE = 0x0800_0000
const ELFOSABI_GNU = 3

/** null: it is loaded. 'foreign': passed over. Else why the program ends. After open_verify of glibc 2.36's elf/dl-load.c. */
function glibcVerdict({ identity, facts, because }: Inspection, loader: Loader): string | null {
  if (identity === null) return because
  if (identity.class !== loader.class) return 'foreign'
  if (identity.data !== loader.data) return "its data encoding is not the loader's"
  if (identity.osabi !== 0 && identity.osabi !== ELFOSABI_GNU) return 'its OS ABI is invalid'
  if (identity.abiVersion !== 0 && identity.osabi === 0) return 'its ABI version is invalid'
  if (identity.padded) return 'the padding in its identification is not zero'
  if (identity.version !== 1) return `its version is ${identity.version}, not 1`
  if (identity.machine !== loader.machine) return 'foreign'
  if (identity.type !== 2 && identity.type !== 3) return 'it is neither a program nor a shared library'
  if (facts === null) return because
  // Until 2.36 a note for another system was heeded. So was one for a newer kernel than the running, but none asks for one
  // that is newer than what this project runs on.
  if (facts.abiTag !== null && facts.abiTag.os !== 0 && !atLeast(loader, 36)) return 'foreign'
  if (!facts.dynamic) return 'it has no dynamic section'
  if (facts.type === 'exec' || (facts.flags1 & DF_1_PIE) !== 0) return 'a program cannot be loaded as a library'
  return null
}

/** musl takes the first file that opens; after map_library of musl 1.2's ldso/dynlink.c, which does not ask for the machine. */
function muslVerdict({ identity, facts, because }: Inspection, loader: Loader): string | null {
  if (identity === null || facts === null) return because
  if (identity.class !== loader.class || identity.data !== loader.data) return 'it is for another machine'
  if (facts.type === 'other') return 'it is neither a program nor a shared library'
  return facts.dynamic ? null : 'it has no dynamic section'
}
