import { refusing } from '../support/refusing.js'

/** A way to launch. */
export interface Mode {
  readonly name: string
  /** What the launch runs below. */
  below(): readonly string[]
  /** What stands before the container's name or the program. All that a program is to see lies below `directory`. */
  options(directory: string): readonly string[]
  /**
   * What the witness tells otherwise than without appc, where the container is called `name` and `directories` are there that a
   * confinement makes private.
   */
  tells(name: string, directories: readonly string[]): Readonly<Record<string, string>>
  /** Whether it is tried in every place that a program may be launched in, or in one. */
  readonly everywhere: boolean
}

const confined = (directories: readonly string[]) => ({
  descriptors: '0 1 2',
  'no new privileges': '1',
  seccomp: '2',
  capabilities: 'none',
  bounding: 'none',
  'own directories': directories.join(' '),
  'can signal its parent': 'no',
})

/** For ordinary users the filter takes no_new_privs: so root has it too. Compiled before a campaign looks at what is there. */
const refusal = ['/usr/bin/setpriv', '--no-new-privs', ...refusing('fsconfig@1=0:ENODEV')]
export const withoutOverlays: () => readonly string[] = () => refusal

export const modes: readonly Mode[] = [
  { name: 'plain', below: () => [], options: () => [], tells: () => ({ 'own namespaces': 'mnt' }), everywhere: true },
  {
    // Binds stand in for them.
    name: 'where overlays are refused',
    below: withoutOverlays,
    options: () => [],
    tells: () => ({ 'own namespaces': 'mnt', 'no new privileges': '1', seccomp: '2' }),
    everywhere: true,
  },
  {
    // A supervisor, a process 1, and all parts.
    name: 'confined',
    below: () => [],
    options: directory => ['--sandbox', '--ro', directory],
    tells: (name, directories) => ({
      ...confined(directories),
      'own namespaces': 'mnt pid ipc uts net',
      host: `${name}, read-only`,
      parent: 'process 1, session',
    }),
    everywhere: true,
  },
  {
    // Nobody beside the program.
    name: 'confined in place',
    below: () => [],
    options: directory => [
      ...['--read-only', '--private-tmp', '--private-home', '--private-run', '--private-dev', '--unshare-uts'],
      ...['--seccomp', '--landlock', '--drop-capabilities', '--ro', directory],
    ],
    tells: (name, directories) => ({
      ...confined(directories),
      'own namespaces': 'mnt uts',
      host: `${name}, read-only`,
    }),
    everywhere: false,
  },
  {
    // A supervisor and a process 1 beside a program with its rights.
    name: 'in a PID namespace',
    below: () => [],
    options: () => ['--unshare-pid'],
    tells: () => ({ descriptors: '0 1 2', 'own namespaces': 'mnt pid', parent: 'process 1, no session' }),
    everywhere: false,
  },
  {
    // The same without a PID namespace that would take all along.
    name: 'in a session of its own',
    below: () => [],
    options: () => ['--new-session'],
    tells: () => ({ descriptors: '0 1 2', 'own namespaces': 'mnt', parent: 'another, session' }),
    everywhere: false,
  },
]
