import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { decodePlan } from '../../lib/plan/file.js'
import { roots } from '../support/roots.js'
import type { Ran, Site } from '../support/site.js'

/** A container that was packed from real packages. */
export interface Sample {
  readonly name: string
  /** Behind the name on the launcher's command line. Its output is the same each time, and told by files of the container's. */
  readonly words: readonly string[]
}

export interface Launchable extends Sample {
  /** What it prints. */
  readonly output: string
  /** Its view, as `views/C/V`. */
  readonly view: string
}

type Tree = 'trixie' | 'bullseye' | 'host'

interface Packed extends Sample {
  readonly from: Tree
  readonly entry: string
}

const ECHO = ['-c', 'echo "$BASH_VERSION" $((6 * 7))']
const PYTHON = [
  '-c',
  'import json, ssl, sqlite3, decimal; print(ssl.OPENSSL_VERSION, json.dumps([sqlite3.sqlite_version]))',
]
const PERL = [
  '-MPOSIX',
  '-MEncode',
  '-MDigest::SHA=sha256_hex',
  '-e',
  'print "$] ", sha256_hex("a"), " ", floor(2.5), "\\n"',
]
const SQLITE = [':memory:', "select sqlite_version(), sum(value) from json_each('[1,2,3]')"]

/** Called by the program and the release that it is from. */
const PACKED: readonly Packed[] = [
  { name: 'bash-13', from: 'trixie', entry: 'bash', words: ECHO },
  { name: 'jq-11', from: 'bullseye', entry: 'jq', words: ['-nc', '[1, {"a": "ä"}]'] },
  { name: 'curl-13', from: 'trixie', entry: 'curl', words: ['--version'] },
  { name: 'bash-host', from: 'host', entry: 'bash', words: ECHO },
  { name: 'jq-13', from: 'trixie', entry: 'jq', words: ['-nc', '[1, {"a": "ä"}]'] },
  { name: 'sqlite-13', from: 'trixie', entry: 'sqlite3', words: SQLITE },
  { name: 'git-13', from: 'trixie', entry: 'git', words: ['--version', '--build-options'] },
  { name: 'python-13', from: 'trixie', entry: 'python3.13', words: PYTHON },
  { name: 'perl-13', from: 'trixie', entry: 'perl', words: PERL },
  { name: 'ls-13', from: 'trixie', entry: 'ls', words: ['--version'] },
  { name: 'tar-13', from: 'trixie', entry: 'tar', words: ['--version'] },
  { name: 'bash-11', from: 'bullseye', entry: 'bash', words: ECHO },
  { name: 'curl-11', from: 'bullseye', entry: 'curl', words: ['--version'] },
  { name: 'sqlite-11', from: 'bullseye', entry: 'sqlite3', words: SQLITE },
  { name: 'python-11', from: 'bullseye', entry: 'python3.9', words: PYTHON },
  { name: 'perl-11', from: 'bullseye', entry: 'perl', words: PERL },
  { name: 'ls-host', from: 'host', entry: 'ls', words: ['--version'] },
]

/** Of one application with settings of its own each, open and secret ones. */
const SET_UP = ['one', 'two', 'three']
const OPEN = '/etc/appc-campaign/open'
const SECRET = '/etc/appc-campaign/secret'

/** The trees that they are packed from, but for the host's. */
export const trees = (): readonly string[] => [roots.trixie(), roots.bullseye()]

/** How many of them are packed, and set up. */
export interface StoreSize {
  readonly packed: number
  readonly setUp: number
}

export const WHOLE: StoreSize = { packed: PACKED.length, setUp: SET_UP.length }

/** Packs them, launches each, and tells what it is like when all is well. */
export async function makeStore(site: Site, size: StoreSize): Promise<readonly Launchable[]> {
  const packed = PACKED.slice(0, size.packed)
  const setUps = SET_UP.slice(0, size.setUp)
  const treeOf: Readonly<Record<Tree, string>> = { trixie: roots.trixie(), bullseye: roots.bullseye(), host: '/' }
  for (const { name, from, entry } of packed) await site.pack(treeOf[from], name, entry)
  for (const which of setUps) await setUp(site, which)
  const show = `echo "$WORD"; cat ${OPEN} ${SECRET}`
  const samples = [...packed, ...setUps.map(which => ({ name: `bash-13-${which}`, words: ['-c', show] }))]
  const launchable: Launchable[] = []
  for (const sample of samples) launchable.push(await firstLaunch(site, sample))
  must(await site.appc('gc', '--grace', '0'))
  return launchable
}

async function setUp(site: Site, which: string): Promise<void> {
  const name = `bash-13-${which}`
  must(await site.appc('copy', 'bash-13', name))
  const [open, secret] = ['open', 'secret'].map(kind => join(site.directory, `${which}-${kind}`)) as [string, string]
  writeFileSync(open, `open ${which}\n`.repeat(500), { mode: 0o644 })
  writeFileSync(secret, `secret ${which}\n`.repeat(300), { mode: 0o600 })
  execFileSync('chown', [`${site.user.uid}:${site.user.gid}`, open, secret])
  must(await site.appc('settings', name, 'set', OPEN, open))
  must(await site.appc('settings', name, 'set', SECRET, secret))
  must(await site.appc('settings', name, 'set', '--env', `WORD=${which}`))
}

async function firstLaunch(site: Site, { name, words }: Sample): Promise<Launchable> {
  const { status, stdout, stderr } = await site.run([name, ...words])
  if (status !== 0 || stdout === '' || stderr !== '') throw new Error(`${name}: ${status}\n${stdout}${stderr}`)
  const { overlays } = decodePlan(readFileSync(join(site.store, 'plans', name)))
  const layer = overlays[0]?.layer
  if (layer === undefined) throw new Error(`${name} has no private files`)
  return { name, words, output: stdout, view: viewOf(layer) }
}

function viewOf(layer: string): string {
  const view = dirname(layer)
  return join('views', basename(dirname(view)), basename(view))
}

function must({ status, stdout, stderr }: Ran): void {
  if (status !== 0) throw new Error(`${status}: ${stdout}${stderr}`)
}

/** How an object is called that has these bytes, in `objects/`. */
export function objectName(digest: string, executable: boolean): string {
  return `objects/${digest.slice(0, 2)}/${digest.slice(2)}${executable ? '.x' : ''}`
}

export interface Told {
  readonly container: string
  readonly settings: {
    readonly files: readonly {
      readonly path: string
      readonly mode: number
      readonly sha256?: string
      readonly secret?: string
    }[]
  }
}

/** What a ref says of each generation. */
export function refOf(store: string, name: string): readonly Told[] {
  const lines = readFileSync(join(store, 'refs', name), 'utf8')
    .split('\n')
    .slice(1, -2)
  return lines.map(line => JSON.parse(line) as Told)
}

export function namesIn(directory: string): readonly string[] {
  return readdirSync(directory).sort()
}
