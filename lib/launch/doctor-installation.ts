import {
  closeSync,
  existsSync,
  linkSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { AppcError } from '../errors.js'
import { storeHome } from '../store/store.js'
import { writing } from '../store/writing.js'
import { addon, type Refusal } from './addon.js'
import type { Check } from './doctor.js'
import { launcherPath } from './launcher.js'
import { findOnPath } from './on-path.js'

/** As package.json has it. */
export const OLDEST_NODE = [20, 17] as const

/** Milliseconds for a program to tell its version. */
const PATIENCE = 20_000

/** What belongs to appc itself: the programs, and the place of the containers. */
export async function installationChecks(environment: NodeJS.ProcessEnv): Promise<readonly Check[]> {
  return [await checkNode(environment), await checkLauncher(), checkStore(environment)]
}

/** The launcher plans by the Node that is on the PATH, which need not be this one. */
async function checkNode({ PATH }: NodeJS.ProcessEnv): Promise<Check> {
  const name = 'node'
  const hint = `put Node.js ${OLDEST_NODE.join('.')} or later on the PATH; programs whose plan holds run without it`
  const path = findOnPath('node', PATH)
  if (path === null) return { name, verdict: 'missing', text: 'no node on the PATH: nothing can be planned', hint }
  const { said, failure } = await versionOf(path)
  const [, major = '', minor = ''] = /^v(\d+)\.(\d+)\./.exec(said) ?? []
  if (failure !== null || major === '') {
    return { name, verdict: 'missing', text: `${path} cannot be run: ${failure ?? 'it tells no version'}`, hint }
  }
  const [oldest, oldestMinor] = OLDEST_NODE
  const isOld = Number(major) < oldest || (Number(major) === oldest && Number(minor) < oldestMinor)
  if (isOld) return { name, verdict: 'missing', text: `${path} is too old: ${said}`, hint }
  return { name, verdict: 'ok', text: `${path}, ${said}`, hint: null }
}

/** It refuses to work where it has rights of its own; so this tells of them too, and of file systems without programs. */
async function checkLauncher(): Promise<Check> {
  const name = 'launcher'
  const { said, failure } = await versionOf(launcherPath)
  if (failure === null) return { name, verdict: 'ok', text: `${launcherPath}, ${said}`, hint: null }
  const hint = existsSync(launcherPath)
    ? 'it must be executable, on a file system that is not mounted noexec, and neither setuid nor with file capabilities'
    : 'build it: npm rebuild appc --foreground-scripts'
  return { name, verdict: 'missing', text: `${launcherPath} cannot be run: ${failure}`, hint }
}

interface Version {
  readonly said: string
  /** null where it told one. */
  readonly failure: string | null
}

async function versionOf(program: string): Promise<Version> {
  try {
    const ran = await addon().capture('', '/', program, [program, '--version'], [], PATIENCE)
    const said = ran.stdout.toString().trim()
    const [complaint = ''] = ran.stderr.toString().split('\n')
    return { said, failure: ran.status === 0 ? null : complaint || `it ended with status ${ran.status}` }
  } catch (error) {
    if (error instanceof Error && 'step' in error) return { said: '', failure: error.message }
    throw error
  }
}

function checkStore(environment: NodeJS.ProcessEnv): Check {
  const name = 'store'
  try {
    const home = storeHome(environment, process.geteuid?.() ?? 0)
    const place = nearestExisting(home)
    const { refusal, verifies } = writing(home, () => (place === home ? tryStore(home) : tryParent(place)))
    const verity = verifies ? ' with fs-verity' : ''
    const text = `${home}, on ${fileSystemOf(place)}${verity}${place === home ? '' : '; not there yet'}`
    if (refusal === null) return { name, verdict: 'ok', text, hint: null }
    const without = `${text}: containers that hide names of the host cannot be planned`
    return { name, verdict: 'limited', text: without, hint: refusal.hint ?? refusal.message }
  } catch (error) {
    if (!(error instanceof AppcError)) throw error
    const text = error.because === null ? error.message : `${error.message}: ${error.because}`
    return { name, verdict: 'missing', text, hint: error.hint }
  }
}

/** Where the store would be made. By access(2) root may do anything, also where nobody can. */
function tryParent(directory: string): Tried {
  rmdirSync(mkdtempSync(join(directory, '.appc-doctor-')))
  return { refusal: null, verifies: false }
}

interface Tried {
  readonly refusal: Refusal | null
  /** The kernel can verify what is read of the store's files. */
  readonly verifies: boolean
}

/** What building a view asks of the file system: links, and whiteouts; not every container needs these. */
function tryStore(home: string): Tried {
  const directory = mkdtempSync(join(home, 'tmp', 'doctor-'))
  try {
    writeFileSync(join(directory, 'file'), '')
    linkSync(join(directory, 'file'), join(directory, 'link'))
    const refusal = refusalOf(() => addon().makeWhiteout(join(directory, 'whiteout')))
    return { refusal, verifies: tryVerity(join(directory, 'file')) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function tryVerity(path: string): boolean {
  const file = openSync(path, 'r')
  try {
    return addon().enableVerity(file)
  } finally {
    closeSync(file)
  }
}

function refusalOf(attempt: () => void): Refusal | null {
  try {
    attempt()
    return null
  } catch (error) {
    if (error instanceof Error && 'step' in error) return error as Refusal
    throw error
  }
}

/** The store, or the directory above it in which it would be made; null where the environment names no place. */
export function placeOfStore(environment: NodeJS.ProcessEnv): string | null {
  try {
    return nearestExisting(storeHome(environment, process.geteuid?.() ?? 0))
  } catch (error) {
    if (error instanceof AppcError) return null
    throw error
  }
}

function nearestExisting(path: string): string {
  return existsSync(path) ? path : nearestExisting(dirname(path))
}

/** statfs(2): f_type. Any other works as well as these, where it has links. */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  801189825: 'zfs',
  3393526350: 'bcachefs',
  16914836: 'tmpfs',
  2035054128: 'overlayfs',
  26985: 'nfs',
}

function fileSystemOf(path: string): string {
  const { type } = statfsSync(path)
  return FILE_SYSTEMS[type] ?? `a file system of type 0x${type.toString(16)}`
}
