import type { Start } from '../elf/header.js'
import type { ElfFacts } from '../elf/types.js'
import { AppcError } from '../errors.js'
import type { FactsCache, Inspection } from './facts-cache.js'
import { errorCode, listing, resolveDirectory, resolvePath } from './file-system.js'
import type { Node } from './nodes.js'
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
  /** Kept with the file by whoever asks about it for program after program: see nodes.ts and glibc.ts. */
  node?: Node
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
    const verdict = verdictOn(inspection, stat.size, this.loader)
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
/** Whether a search goes on behind a regular file. */
export function isPassedOver(inspection: Inspection, size: number, loader: Loader): boolean {
  return verdictOn(inspection, size, loader) === 'foreign'
}

function verdictOn(inspection: Inspection, size: number, loader: Loader): string | null {
  return loader.kind === 'glibc' ? glibcVerdict(inspection, size, loader) : muslVerdict(inspection, loader)
}

const DF_1_PIE = 0x0800_0000
const ELFOSABI_GNU = 3
/** The highest ABI version that a loader's build takes (LIBC_ABI_MAX, from glibc's libc-abis): x86's and RISC-V's, and others'. */
const ABI_VERSIONS: Readonly<Record<number, number>> = { 3: 3, 62: 3, 243: 3 }
const ABI_VERSION = 2

/**
 * null: it is loaded. 'foreign': passed over. Else why the program ends. After open_verify of glibc 2.36's elf/dl-load.c; in what
 * is told by the header, those of 2.31, 2.41 and 2.43 are found to do the same.
 */
function glibcVerdict({ start, facts, because }: Inspection, size: number, loader: Loader): string | null {
  if (size < (loader.class === 64 ? 64 : 52)) return 'it is too short'
  if (start === null) return because
  if (start.class !== loader.class) return 'foreign'
  // All that follows is read in the loader's own byte order.
  const misread = (start.data ?? 'little') !== loader.data
  const foreign = (misread ? swap16(start.machine) : start.machine) !== loader.machine
  const wrong = wrongIdentification(start, loader)
  if (wrong !== null) return foreign ? 'foreign' : wrong
  if (start.version !== 1) return `its version is ${start.version}, not 1`
  if (foreign) return 'foreign'
  if (start.type !== 2 && start.type !== 3) return 'it is neither a program nor a shared library'
  if (facts === null) return because
  // Until 2.36 a note for another system was heeded. So was one for a newer kernel than the running, but none asks for one
  // that is newer than what this project runs on.
  if (facts.abiTag !== null && facts.abiTag.os !== 0 && !atLeast(loader, 36)) return 'foreign'
  if (!facts.dynamic) return 'it has no dynamic section'
  if (facts.type === 'exec' || (facts.flags1 & DF_1_PIE) !== 0) return 'a program cannot be loaded as a library'
  return null
}

/** What is wrong with the first 16 bytes, the magic number and the class being right. */
function wrongIdentification(start: Start, { data, machine }: Loader): string | null {
  if (start.data !== data) return "its data encoding is not the loader's"
  if (start.headerVersion !== 1) return `its header's version is ${start.headerVersion}, not 1`
  if (start.osabi !== 0 && start.osabi !== ELFOSABI_GNU) return 'its OS ABI is invalid'
  const most = start.osabi === ELFOSABI_GNU ? (ABI_VERSIONS[machine] ?? ABI_VERSION) : 0
  if (start.abiVersion > most) return 'its ABI version is invalid'
  return start.padded ? 'the padding in its identification is not zero' : null
}

function swap16(number: number): number {
  return ((number & 0xff) << 8) | (number >> 8)
}

/** musl takes the first file that opens; after map_library of musl 1.2's ldso/dynlink.c, which does not ask for the machine. */
function muslVerdict({ facts, because }: Inspection, loader: Loader): string | null {
  if (facts === null) return because
  if (facts.class !== loader.class || facts.data !== loader.data) return 'it is for another machine'
  if (facts.type === 'other') return 'it is neither a program nor a shared library'
  return facts.dynamic ? null : 'it has no dynamic section'
}
