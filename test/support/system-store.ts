import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { finished, type Ran, type RunOptions, type Site } from './site.js'

const asRoot = process.geteuid?.() === 0
/** Who is no root keeps his id, and may mount in a user namespace of his own. */
const NAMESPACES = asRoot ? ['--mount'] : ['--user', '--map-current-user', '--keep-caps', '--mount']
/** Before a command that is to see what was mounted there. */
const ENTER = asRoot ? [] : ['--user', '--preserve-credentials']

/**
 * A place for the system's store that is this machine's own no more: a mount namespace in which /var/lib is empty. Root's store is the
 * system's there; where nobody is root, the one who runs the tests makes one by name.
 */
export class SystemStore {
  static readonly home = '/var/lib/appc'
  readonly #site: Site
  readonly #holder: ChildProcess

  private constructor(site: Site, holder: ChildProcess) {
    this.#site = site
    this.#holder = holder
  }

  static async open(site: Site): Promise<SystemStore> {
    const script = 'mount -t tmpfs tmpfs /var/lib && echo ready && read line'
    const holder = spawn('unshare', [...NAMESPACES, 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] })
    await once(holder.stdout as NodeJS.ReadableStream, 'data')
    return new SystemStore(site, holder)
  }

  close(): void {
    this.#holder.stdin?.end()
  }

  /** Runs a program as whoever the system's store belongs to. */
  asOwner(program: string, args: readonly string[]): Promise<Ran> {
    return finished(this.startAsOwner(program, args))
  }

  /** The same; it goes on. */
  startAsOwner(program: string, args: readonly string[]): ChildProcess {
    return this.#enter(['env', `APPC_HOME=${asRoot ? '' : SystemStore.home}`, program, ...args])
  }

  /** Below this path the machine is seen as it is there. */
  get root(): string {
    return `/proc/${this.#holder.pid}/root`
  }

  /** As the site's person, to whom no store is named. */
  asPerson(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return finished(this.start(program, args, options))
  }

  /** The same; it goes on. */
  start(program: string, args: readonly string[], options: RunOptions = {}): ChildProcess {
    const { uid, gid } = this.#site.user
    const become = asRoot ? ['setpriv', '--reuid', `${uid}`, '--regid', `${gid}`, '--clear-groups'] : []
    const variables = Object.entries({ APPC_HOME: '', ...options.env }).map(([name, value]) => `${name}=${value}`)
    return this.#enter([...become, 'env', ...variables, program, ...args])
  }

  #enter(command: readonly string[]): ChildProcess {
    const target = [`--target=${this.#holder.pid}`, '--mount', ...ENTER]
    return spawn('nsenter', [...target, '--', ...command], { cwd: '/', env: this.#site.environment })
  }
}
