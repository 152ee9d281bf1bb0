import { AppcError } from '../errors.js'
import { sha256At, symbolsAt } from '../loader/content.js'
import type { FactsCache } from '../loader/facts-cache.js'
import { base, errorCode } from '../loader/file-system.js'
import { remember } from '../loader/remember.js'
import type { FileSystem } from '../loader/types.js'
import { consumerPaths } from './consumers.js'
import type { DescribedElf, DescribedSymbols, FrontCoded } from './described.js'
import { describeSymbols } from './described-symbols.js'
import { frontCode } from './front-coded.js'
import type { Survey } from './survey.js'

/** What the ELF files of a root say. Each is told of under one of its names; what cannot be opened is noted as closed. */
export function describeElfFiles(
  fs: FileSystem,
  survey: Survey,
  facts: FactsCache,
  lookAhead: (paths: readonly string[]) => void,
): { readonly elf: readonly DescribedElf[]; readonly strings: FrontCoded } {
  const paths = mayBeCode(fs, survey)
  lookAhead(paths)
  const known = new Set<string>()
  const names = new Names()
  const elf: DescribedElf[] = []
  for (const path of paths) {
    const stat = fs.lstat(path)
    const id = `${stat?.dev}:${stat?.ino}`
    if (stat?.kind !== 'file' || known.has(id)) continue
    known.add(id)
    try {
      const inspection = facts.inspect(fs, path, stat)
      if (inspection.code === 'ELF_NOT') continue
      const symbols = inspection.facts === null ? inspection.because : symbolsOf(fs, path, names)
      const unnamed = inspection.facts?.dynamic === true && inspection.facts.buildId === null
      elf.push({ path, ...inspection, symbols, ...(unnamed && { sha256: sha256At(fs, path) }) })
    } catch (error) {
      survey.close(path, errorCode(error))
    }
  }
  return names.sorted(elf)
}

/** By their names and modes: what programs are started from or could load. */
function mayBeCode(fs: FileSystem, survey: Survey): readonly string[] {
  const paths = new Set(consumerPaths(fs))
  for (const [path, mode] of survey.files()) if ((mode & 0o111) !== 0 || /\.so(\.|$)/.test(base(path))) paths.add(path)
  return [...paths]
}

function symbolsOf(fs: FileSystem, path: string, names: Names): DescribedElf['symbols'] {
  try {
    return describeSymbols(symbolsAt(fs, path), names.number)
  } catch (error) {
    if (error instanceof AppcError) return error.message
    throw error
  }
}

/** Names of symbols by number: in the order in which they come, and at the end in their own. */
class Names {
  readonly #numbers = new Map<string, number>()

  number = (name: string): number => remember(this.#numbers, name, () => this.#numbers.size)

  sorted(elf: readonly DescribedElf[]): { readonly elf: readonly DescribedElf[]; readonly strings: FrontCoded } {
    const names = [...this.#numbers.keys()].sort()
    const places = new Uint32Array(names.length)
    for (const [place, name] of names.entries()) places[this.#numbers.get(name) as number] = place
    const moved = (pairs: readonly number[]) =>
      pairs.map((number, at) => (at % 2 === 0 ? (places[number] as number) : number))
    const sorted = (symbols: DescribedSymbols) => ({
      kinds: symbols.kinds,
      imports: moved(symbols.imports),
      exports: moved(symbols.exports),
    })
    return {
      elf: elf.map(row => (typeof row.symbols === 'string' ? row : { ...row, symbols: sorted(row.symbols) })),
      strings: frontCode(names),
    }
  }
}
