import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { type User, users } from '../native/fixture.js'
import { temporaryDirectory } from './fixtures.js'

const checkout = fileURLToPath(new URL('../../..', import.meta.url))
/** What a launch and a command read of the installation, besides Node. */
const INSTALLED = ['package.json', 'dist/bin', 'build/Release/appc-run', 'build/Release/appc.node']

export interface Ran {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  /** Standard input; nothing when left out. */
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  /** Who runs the tests, to become this person later. */
  readonly asTester?: boolean
}

/** One person's appc on this machine: an installation that he can read, and a home and a store of his own. */
export class Site {
  readonly user: User
  readonly directory = realpathSync(mkdtempSync(join(tmpdir(), 'appc-system-')))
  readonly home = join(this.directory, 'home')
  readonly store = join(this.home, 'store')
  readonly installation = process.geteuid?.() === 0 ? join(this.directory, 'installation') : checkout
  readonly launcher = join(this.installation, 'build/Release/appc-run')
  readonly cli = join(this.installation, 'dist/bin/appc/cli.js')

  constructor(user: User) {
    this.user = user
    chmodSync(this.directory, 0o755)
    mkdirSync(this.home)
    chownSync(this.home, user.uid, user.gid)
    // The checkout may lie where only root may read.
    if (this.installation !== checkout) {
      for (const path of INSTALLED) cpSync(join(checkout, path), join(this.installation, path), { recursive: true })
    }
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }

  get environment() {
    return {
      PATH: `${dirname(process.execPath)}:/usr/sbin:/usr/bin:/sbin:/bin`,
      HOME: this.home,
      APPC_HOME: this.store,
      LC_ALL: 'C.UTF-8',
      GIT_CONFIG_NOSYSTEM: '1',
      // The trees have no compiled modules, and a program in a container may not write any beside them.
      PYTHONPYCACHEPREFIX: join(this.home, 'pycache'),
    }
  }

  /** Starts any program as this person; the output is not read by anybody yet. */
  start(program: string, args: readonly string[], options: RunOptions = {}): ChildProcess {
    return spawn(program, args, {
      ...(options.asTester ? {} : { uid: this.user.uid, gid: this.user.gid }),
      cwd: options.cwd ?? this.home,
      env: { ...this.environment, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
  }

  /** Runs any program as this person to its end. Servers of this process go on meanwhile. */
  async command(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return finished(this.start(program, args, options), options.input)
  }

  appc(...args: readonly string[]): Promise<Ran> {
    return this.command(process.execPath, [this.cli, ...args])
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return this.command(this.launcher, args, options)
  }

  /** Packs entries of a tree; a failure is the test's. */
  async pack(root: string, name: string, ...entries: readonly string[]): Promise<void> {
    const { status, stderr } = await this.appc('pack', '--root', root, '--name', name, ...entries)
    if (status !== 0) throw new Error(`appc pack ${name}: ${stderr}`)
  }

  /**
   * Packs several containers into the store, which is new. Who comes second gets a copy of the store, as his own: for tests of what
   * becomes of a container, whoever packed it.
   */
  async packAll(...containers: readonly Readonly<Parameters<Site['pack']>>[]): Promise<void> {
    const key = JSON.stringify(containers)
    const made = packed.get(key)
    if (made !== undefined) {
      execFileSync('cp', ['--archive', made, this.store])
      execFileSync('chown', ['--recursive', `${this.user.uid}:${this.user.gid}`, this.store])
      return
    }
    for (const container of containers) await this.pack(...container)
    if (users.length === 1) return
    const copy = join(temporaryDirectory(), 'store')
    execFileSync('cp', ['--archive', this.store, copy])
    packed.set(key, copy)
  }

  /** Every path of the store, sorted; [] before there is one. What is remembered of libraries (cache/) is left out. */
  listing(): readonly string[] {
    return list(this.store)
      .filter(path => !path.startsWith('cache'))
      .sort()
  }
}

/** Stores as `packAll` left them. */
const packed = new Map<string, string>()

/** `input`: null where somebody else gives it. */
export async function finished(child: ChildProcess, input: string | null = ''): Promise<Ran> {
  const { stdin, stdout, stderr } = child
  if (stdin === null || stdout === null || stderr === null) throw new Error('started without pipes')
  // Programs that end without having read their input are no failure.
  stdin.on('error', () => {})
  if (input !== null) stdin.end(input)
  const [out, err, [status, signal]] = await Promise.all([text(stdout), text(stderr), once(child, 'close')])
  return { status, signal, stdout: out, stderr: err }
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Root runs everything twice, as root and as a user without privileges; anybody else runs it as himself alone. */
export function forEachPerson(run: (who: string, site: () => Site) => void): void {
  for (const [who, user] of users) run(`as ${who}`, () => new Site(user))
}
