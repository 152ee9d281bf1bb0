import type { PolicyRule } from '../container/policy.js'
import { AppcError } from '../errors.js'
import type { DescribedElf, DescribedHost } from '../host/described.js'
import { readPackageDatabase } from '../host/dpkg.js'
import { driversOf } from '../host/drivers.js'
import { describeElfFiles } from '../host/elf-survey.js'
import { readOperatingSystem } from '../host/os.js'
import { Recording } from '../host/recording.js'
import { Survey } from '../host/survey.js'
import { LibraryCache } from '../loader/cache.js'
import { staticTlsOf } from '../loader/dlopen.js'
import type { FactsCache } from '../loader/facts-cache.js'
import { isOutOfReach, parent } from '../loader/file-system.js'
import { INTERPRETERS, readLoader } from '../loader/loader.js'
import { listedPreloads } from '../loader/resolve.js'
import type { FileSystem } from '../loader/types.js'
import type { Store } from '../store/store.js'
import { addon } from './addon.js'
import { hostFor, kernel, kernelModules } from './machine.js'
import { factsOf } from './remembered-facts.js'
import { takeStockOf } from './stock.js'

/** The tree at `root` with this machine's kernel and the store's policy, in all that deciding asks of a host. */
export function describeHost(store: Store, root: string): DescribedHost<readonly PolicyRule[]> {
  const memory = factsOf(store)
  const { fs, facts, lookAhead, policy } = hostFor(store, root, {}, memory)
  const survey = new Survey(fs)
  const recording = new Recording(fs)
  const database = readPackageDatabase(recording.fs)
  // Some lie where nobody looks otherwise, as in /var.
  for (const pkg of database?.packages ?? []) for (const path of database?.filesOf(pkg) ?? []) survey.add(path)
  surveySearched(fs, survey)
  const { elf, strings } = describeElfFiles(fs, survey, facts, paths => lookAhead?.(paths))
  const modules = kernelModules()
  recordReaders(recording.fs, loadersIn(fs, elf), elf, facts, modules)
  memory.save()
  const contents = recording.contents()
  for (const path of [...contents.map(({ path }) => path), ...recording.closed.keys()]) survey.add(path)
  for (const [path, code] of recording.closed) survey.close(path, code)
  return {
    schema: 'appc.host/1',
    digest: takeStockOf(store, root).digest,
    kernel: kernel(),
    cpu: { level: addon().cpuLevel(), intel: addon().cpuIsIntel() },
    modules: Object.fromEntries(modules),
    policy: policy ?? [],
    ...survey.result(),
    elf,
    strings,
    contents,
  }
}

/** Where the loaders look for libraries, and where links among libraries lead, wherever that is. */
function surveySearched(fs: FileSystem, survey: Survey): void {
  for (const interpreter of loadersIn(fs, [])) {
    const loader = readLoader(fs, interpreter)
    const listed = LibraryCache.read(fs, loader)?.paths() ?? []
    for (const directory of new Set([...loader.systemDirectories, ...listed.map(parent)])) survey.addAll(directory)
    for (const path of listed) survey.addChain(path)
  }
  for (const path of [...survey.links()].filter(isAmongLibraries)) survey.addAll(path)
}

function isAmongLibraries(path: string): boolean {
  return /^\/(usr\/)?(local\/)?(lib(32|64|x32)?|libexec)\/|^\/opt\//.test(path)
}

/** Has all that deciding reads of files read once: the recording has it then, whatever a reader makes of it. */
function recordReaders(
  fs: FileSystem,
  interpreters: readonly string[],
  elf: readonly DescribedElf[],
  facts: FactsCache,
  modules: ReadonlyMap<string, string>,
): void {
  readOperatingSystem(fs)
  listedPreloads(fs)
  driversOf(fs, [], facts, modules)
  for (const interpreter of interpreters) LibraryCache.read(fs, readLoader(fs, interpreter))
  for (const { path, facts } of elf) if (facts !== null) staticTlsOf(fs, { realPath: path, facts })
}

/** The loaders that programs name, and by which libraries are loaded. What is named and is none, is not to be kept. */
function loadersIn(fs: FileSystem, elf: readonly DescribedElf[]): readonly string[] {
  const usual = Object.values(INTERPRETERS).flatMap(({ glibc, musl }) => [glibc, `/lib/ld-musl-${musl}.so.1`])
  const named = elf.flatMap(({ facts }) => facts?.interpreter ?? [])
  return [...new Set([...usual, ...named])].filter(path => path.startsWith('/') && isLoader(fs, path))
}

function isLoader(fs: FileSystem, path: string): boolean {
  try {
    readLoader(fs, path)
    return true
  } catch (error) {
    if (error instanceof AppcError || isOutOfReach(error)) return false
    throw error
  }
}
