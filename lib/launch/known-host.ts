import * as v from 'valibot'
import type { PolicyRule } from '../container/policy.js'
import type { Host } from '../decide/types.js'
import { AppcError } from '../errors.js'
import { type DescribedElf, type DescribedHost, invalidInventory } from '../host/described.js'
import { areSound, symbolsOf } from '../host/described-symbols.js'
import { readPackageDatabase } from '../host/dpkg.js'
import { driversOf } from '../host/drivers.js'
import { frontDecode } from '../host/front-coded.js'
import { type Known, knownFileSystem } from '../host/known-file-system.js'
import { FactsCache } from '../loader/facts-cache.js'
import { hostSchema } from './host-schema.js'

type Described = DescribedHost<readonly PolicyRule[]>

/** What `appc inventory --complete` printed, whoever says that it is that. Throws INVENTORY_INVALID. */
export function parseDescribedHost(text: string): Described {
  const { output, issues } = v.safeParse(hostSchema, parseJson(text), { abortEarly: true })
  if (issues === undefined) return output as Described
  const because = `${v.getDotPath(issues[0]) ?? 'it'}: ${issues[0].message}`
  throw invalidInventory(because.length > MAX_BECAUSE ? `${because.slice(0, MAX_BECAUSE)}…` : because)
}

/** Keys and values stand in it as they are, however long. */
const MAX_BECAUSE = 200

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalidInventory(error instanceof Error ? error.message : String(error), error)
  }
}

/**
 * A described host, as a program sees it that is started in its root directory without variables for the loader: what is decided for it
 * is decided as on the host itself. Throws INVENTORY_INVALID.
 */
export function knownHost(described: Described): Host {
  const rows = new Map<bigint, DescribedElf>()
  const rowAt = (path: string): DescribedElf | undefined => rows.get(fs.lstat(path)?.ino ?? 0n)
  const fs = knownFileSystem(described, knowledge(described, rowAt))
  const facts = new FactsCache()
  for (const row of described.elf) {
    const stat = fs.lstat(row.path)
    if (stat?.kind !== 'file') throw invalidInventory(`${row.path} has ELF facts and is no file`)
    if (rows.has(stat.ino)) throw invalidInventory(`it has the ELF facts of ${row.path} twice`)
    rows.set(stat.ino, row)
    const { start, facts: found, code, because } = row
    facts.put(stat, { start, facts: found, code, because })
  }
  const modules = new Map(Object.entries(described.modules))
  const { level, intel } = described.cpu
  return {
    fs,
    packages: readPackageDatabase(fs),
    context: { cpuLevel: level, intel, libraryPath: [], preload: [], workingDirectory: '/' },
    policy: described.policy,
    facts,
    drivers: directories => driversOf(fs, directories, facts, modules),
  }
}

function knowledge({ strings, elf }: Described, rowAt: (path: string) => DescribedElf | undefined): Known {
  const names = frontDecode(strings)
  if (names === null) throw invalidInventory('its strings do not fit together, or are too many')
  for (const { path, symbols } of elf)
    if (typeof symbols !== 'string' && !areSound(symbols, names.length))
      throw invalidInventory(`the symbols of ${path} have numbers that stand for nothing`)
  return {
    symbols(path) {
      const row = rowAt(path)
      if (row === undefined) throw new AppcError('ELF_NOT', 'not an ELF file')
      if (typeof row.symbols === 'string') throw new AppcError('ELF_MALFORMED', row.symbols)
      return symbolsOf(row.symbols, names)
    },
    sha256: path => rowAt(path)?.sha256 ?? '',
  }
}
