import { rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Check, Diagnosis } from '../../lib/launch/doctor.js'
import { refusing } from '../support/refusing.js'
import { roots } from '../support/roots.js'
import { forEachPerson, type Ran, type Site } from '../support/site.js'

/*
 * Launches of a real container where less is allowed than usual, in what the kernel itself makes of it: each works, or ends with one error
 * that says what helps; and `appc doctor` has said before which it will be.
 */

/** What lies over the directory of libraries, or what appc-run says. */
type Outcome = 'overlayfs' | 'tmpfs' | RegExp

interface Environment {
  readonly name: string
  /** Absent: for everybody. */
  readonly person?: 'root' | 'user'
  /** As root, in a mount namespace of its own; runs "$@", the person's command, in the end. $PLACE is an empty directory. */
  readonly script?: string
  /** Words before the command, as the person. */
  readonly before?: () => readonly string[]
  readonly outcome: Outcome | ((isRoot: boolean) => Outcome)
  /** Of the doctor's checks, beside those on whether it launches. What they tell is tried as well: of the store, by a container that hides names. */
  readonly verdicts?: (isRoot: boolean) => Readonly<Record<string, Check['verdict']>>
}

const asRoot = process.geteuid?.() === 0
const OVERLAYFS = 0x794c7630
/** How many overlays lie below /usr on this machine. */
const depth = statfsSync('/usr').type === OVERLAYFS ? 1 : 0

/** A directory that is no mount point and shows what / does, on a mount that is shared, as on a machine with systemd. */
const SHOW_MACHINE = `
  mount --make-rshared /
  mount -t tmpfs tmpfs "$PLACE" && mount --make-shared "$PLACE" && mkdir "$PLACE/host"
  for path in /*; do
    if [ -L "$path" ]; then cp -P "$path" "$PLACE/host/"
    elif [ -d "$path" ]; then mkdir "$PLACE/host$path" && mount --rbind "$path" "$PLACE/host$path"
    fi
  done`
/** What is mounted inside must not be seen here. */
const IN_CHROOT = `
  chroot "$PLACE/host" "$@"; status=$?
  ! grep -E ' - (overlay|tmpfs) appc' /proc/self/mountinfo && exit $status`

/** The root directory is an overlay, as in containers; with OVERLAYS=2 there is room for none above it. $VOLUME lies on the machine's. */
const IN_CONTAINER = `
  mount --make-rprivate /
  mount -t tmpfs tmpfs "$PLACE"
  host=/
  for number in $(seq "$OVERLAYS"); do
    mkdir "$PLACE/upper$number" "$PLACE/work$number" "$PLACE/$number"
    mount -t overlay -o "lowerdir=$host,upperdir=$PLACE/upper$number,workdir=$PLACE/work$number" overlay "$PLACE/$number"
    host=$PLACE/$number
  done
  for path in /*; do if mountpoint --quiet "$path"; then mount --rbind "$path" "$host$path"; fi; done
  if [ -n "$VOLUME" ]; then mount --rbind "$VOLUME" "$host$VOLUME"; fi
  mkdir "$host/former" && cd "$host" && pivot_root . former && umount --lazy /former && exec "$@"`

/** As container engines do (runc's maskedPaths and readonlyPaths). */
const MASKED = `
  for path in /proc/acpi /proc/scsi; do if [ -d $path ]; then mount -t tmpfs -o ro tmpfs $path; fi; done
  for path in /proc/kcore /proc/keys /proc/timer_list; do if [ -e $path ]; then mount --bind /dev/null $path; fi; done
  for path in /proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger; do
    if [ -e $path ]; then mount --bind $path $path && mount -o remount,bind,ro $path; fi
  done
  exec "$@"`

const NO_USER_NAMESPACE = 'unshare@0&0x10000000:EPERM'
const WITHOUT = (capability: string) => ['setpriv', `--bounding-set=-${capability}`]
const noUserNamespace =
  /^appc-run: cannot create a user namespace: [^\n]+\n\nhint: [^\n]*kernel\.unprivileged_userns_clone/
const NO_WHITEOUTS = /^appc-run: [^\n]+whiteout[^\n]+\n\nhint: [^\n]* APPC_HOME [^\n]+ volume\n$/
const REMEDY = /^appc-run: cannot keep mounts from spreading[^\n]+\n\nhint: [^\n]*mount --rbind DIR DIR before chroot/

const environments: readonly Environment[] = [
  { name: 'as it is', outcome: depth < 2 ? 'overlayfs' : 'tmpfs' },
  { name: 'root of a user namespace', before: () => ['unshare', '--map-root-user'], outcome: 'overlayfs' },
  {
    name: 'root of a user namespace with mounts of its own',
    before: () => ['unshare', '--map-root-user', '--mount'],
    outcome: 'overlayfs',
  },
  {
    name: 'in a chroot to what is no mount point',
    script: SHOW_MACHINE + IN_CHROOT,
    outcome: isRoot =>
      isRoot
        ? 'overlayfs'
        : /^appc-run: cannot create a user namespace in a chroot: [^\n]+\n\nhint: [^\n]+ --root DIR\n$/,
    verdicts: isRoot => ({ chroot: isRoot ? 'ok' : 'missing' }),
  },
  {
    name: 'in a chroot to a mount point',
    script: `${SHOW_MACHINE}\n mount --rbind "$PLACE/host" "$PLACE/host"\n${IN_CHROOT}`,
    outcome: isRoot => (isRoot ? 'overlayfs' : noUserNamespace),
    verdicts: () => ({ chroot: 'ok' }),
  },
  {
    name: 'in a chroot that cannot be left',
    person: 'root',
    script: SHOW_MACHINE + IN_CHROOT,
    before: () => WITHOUT('sys_chroot'),
    outcome: REMEDY,
  },
  {
    name: 'in a chroot that cannot be left, with the remedy',
    person: 'root',
    script: `${SHOW_MACHINE}\n mount --rbind "$PLACE/host" "$PLACE/host"\n${IN_CHROOT}`,
    before: () => WITHOUT('sys_chroot'),
    outcome: 'overlayfs',
  },
  {
    name: 'in a container on as many overlays as there can be',
    script: `OVERLAYS=${2 - depth}${IN_CONTAINER}`,
    outcome: 'tmpfs',
    // Its own file system is such an overlay, which cannot hold what hides names.
    verdicts: () => ({ store: 'limited' }),
  },
  {
    name: 'in a container on an overlay, the store on a volume',
    script: `OVERLAYS=1 VOLUME=$STORE${IN_CONTAINER}`,
    outcome: depth === 0 ? 'overlayfs' : 'tmpfs',
    verdicts: () => ({ store: 'ok' }),
  },
  { name: 'without overlays', before: () => refusing('fsconfig@1=0:ENODEV'), outcome: 'tmpfs' },
  {
    name: 'without overlays or what could stand in',
    before: () => refusing('fsconfig@1=0:ENODEV', 'mount_setattr@2=0x1000:EPERM'),
    outcome: /^appc-run: [^\n]+: Operation not permitted\n/,
  },
  {
    name: 'without the new mount calls',
    before: () => refusing('fsopen:ENOSYS'),
    outcome: /^appc-run: cannot [^\n]+: Function not implemented\n\nhint: [^\n]*seccomp/,
    verdicts: () => ({ binds: 'missing' }),
  },
  {
    name: 'without user namespaces',
    before: () => refusing(NO_USER_NAMESPACE),
    outcome: isRoot => (isRoot ? 'overlayfs' : noUserNamespace),
    verdicts: isRoot => ({ 'user namespace': isRoot ? 'limited' : 'missing' }),
  },
  { name: 'without namespaces', before: () => refusing('unshare:EPERM'), outcome: noUserNamespace },
  { name: 'root without CAP_SYS_ADMIN', person: 'root', before: () => WITHOUT('sys_admin'), outcome: 'overlayfs' },
  {
    name: 'root without CAP_SYS_ADMIN or user namespaces',
    person: 'root',
    before: () => [...WITHOUT('sys_admin'), ...refusing(NO_USER_NAMESPACE)],
    outcome: noUserNamespace,
  },
  {
    name: 'without /proc',
    script: 'umount --lazy /proc; exec "$@"',
    outcome:
      /^appc-run: [^\n]*\/proc\/self\/mountinfo: No such file or directory\n\nhint: [^\n]*mount -t proc proc \/proc\n$/,
    verdicts: () => ({ proc: 'missing' }),
  },
  {
    name: 'with a masked /proc',
    script: MASKED,
    outcome: 'overlayfs',
    // The kernel asks of user namespaces alone that what is hidden stays hidden.
    verdicts: isRoot => ({ proc: 'ok', 'PID namespace': isRoot ? 'ok' : 'missing' }),
  },
  {
    name: 'with a /proc of the processes alone',
    script: 'mount -t proc -o hidepid=2,subset=pid proc /proc; exec "$@"',
    outcome: 'overlayfs',
    verdicts: () => ({ proc: 'ok', limits: 'ok' }),
  },
]

/** Runs a command of the person's in the environment, from / since a chroot leads there. */
function runIn({ script, before }: Environment, site: Site, command: readonly string[]): Promise<Ran> {
  const words = [...(before?.() ?? []), ...command]
  if (script === undefined) return site.command('env', words, { cwd: '/' })
  const { uid, gid } = site.user
  const person = uid === 0 ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
  const place = join(site.directory, 'place')
  const inNamespace = [
    'unshare',
    '--mount',
    'sh',
    '-c',
    `STORE=${site.store} PLACE=${place}; mkdir -p "$PLACE"; ${script}`,
    'sh',
    ...person,
    ...words,
  ]
  return site.command('env', inNamespace, { cwd: '/', asTester: true })
}

forEachPerson((who, makeSite) =>
  t.test(who, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const isRoot = site.user.uid === 0
    await site.packAll([roots.trixie(), 'shell', 'bash', 'jq'], [roots.trixie(), 'hiding', 'git'])

    for (const environment of environments) {
      const { name, person, script } = environment
      if (person !== undefined && isRoot !== (person === 'root')) continue
      if (script !== undefined && !asRoot) continue
      const outcome = typeof environment.outcome === 'function' ? environment.outcome(isRoot) : environment.outcome
      t.test(name, async t => {
        // Elsewhere it is as it was planned for last: that takes its time.
        const isPlannedFor = script !== undefined || name.startsWith('root of a user namespace')
        if (isPlannedFor) rmSync(join(site.store, 'plans'), { recursive: true, force: true })
        // A view that is there is not built again.
        const { store, 'PID namespace': processes } = environment.verdicts?.(isRoot) ?? {}
        if (store !== undefined) rmSync(join(site.store, 'views'), { recursive: true, force: true })
        const show = 'echo $BASH_VERSION; stat -f -c %T /usr/lib/x86_64-linux-gnu'
        const launch = [site.launcher, 'shell', '-c', show]
        const doctor = await runIn(environment, site, [process.execPath, site.cli, 'doctor', '--json'])
        t.equal(doctor.stderr, '')
        const { launches, checks } = JSON.parse(doctor.stdout) as Diagnosis
        // What is written in a container is gone with it.
        const isKept = store !== 'limited'
        for (const time of [...(isPlannedFor ? ['planned for'] : []), ...(isKept ? ['with its plan'] : [])]) {
          const ran = await runIn(environment, site, launch)
          if (typeof outcome === 'string') {
            t.match(ran, { status: 0, stdout: new RegExp(`^5\\.2\\..*\n${outcome}\n$`), stderr: '' }, time)
          } else {
            t.match(ran, { status: 125, stdout: '', stderr: outcome }, time)
            t.match(ran.stderr, /^appc-run: [^\n]+\n(\nhint: [^\n]+\n)?$/, 'one error')
          }
        }

        const works = typeof outcome === 'string'
        t.same([launches, doctor.status], works ? [true, 0] : [false, 1], 'as the doctor said')
        const verdicts = Object.fromEntries(checks.map(({ name, verdict }) => [name, verdict]))
        const expected: Readonly<Record<string, Check['verdict']>> = {
          ...(works && { overlays: outcome === 'tmpfs' ? 'limited' : 'ok' }),
          ...environment.verdicts?.(isRoot),
        }
        t.match(verdicts, expected, doctor.stdout)
        if (store !== undefined) {
          const hiding = await runIn(environment, site, [site.launcher, 'hiding', '--version'])
          const hidden = { status: 0, stdout: /^git version/, stderr: '' }
          t.match(hiding, store === 'ok' ? hidden : { status: 125, stdout: '', stderr: NO_WHITEOUTS })
        }
        if (processes !== undefined) {
          const confined = await runIn(environment, site, [site.launcher, '--sandbox', 'shell', '-c', 'echo $$'])
          const isolated = { status: 0, stdout: '2\n', stderr: '' }
          t.match(confined, processes === 'ok' ? isolated : { status: 125, stdout: '', stderr: /--allow pid/ })
        }
        for (const { verdict, hint } of checks) if (verdict === 'ok') t.equal(hint, null)
      })
    }
  }),
)
