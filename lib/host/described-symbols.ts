import type { ElfSymbols, ExportedSymbol, ImportedSymbol } from '../elf/types.js'
import { remember } from '../loader/remember.js'
import type { DescribedSymbols, SymbolKind } from './described.js'

/** Symbols as numbers; `number` gives a name's. */
export function describeSymbols({ imports, exports }: ElfSymbols, number: (name: string) => number): DescribedSymbols {
  const kinds: SymbolKind[] = []
  const known = new Map<string, number>()
  const numbers = (symbols: readonly (ImportedSymbol | ExportedSymbol)[]) =>
    symbols.flatMap(({ name, ...kind }) => [
      number(name),
      remember(known, JSON.stringify(kind), () => kinds.push(kind) - 1),
    ])
  return { kinds, imports: numbers(imports), exports: numbers(exports) }
}

/** Whether all numbers stand for something, `names` being how many names there are. */
export function areSound({ kinds, imports, exports }: DescribedSymbols, names: number): boolean {
  return [imports, exports].every(
    numbers =>
      numbers.length % 2 === 0 && numbers.every((number, at) => number < (at % 2 === 0 ? names : kinds.length)),
  )
}

/** What describeSymbols was given. */
export function symbolsOf({ kinds, imports, exports }: DescribedSymbols, strings: readonly string[]): ElfSymbols {
  const symbols = (numbers: readonly number[]): (ImportedSymbol & ExportedSymbol)[] => {
    const found: (ImportedSymbol & ExportedSymbol)[] = []
    for (let at = 0; at < numbers.length; at += 2)
      found.push({ name: strings[numbers[at] as number] as string, ...kinds[numbers[at + 1] as number] })
    return found
  }
  return { imports: symbols(imports), exports: symbols(exports) }
}
