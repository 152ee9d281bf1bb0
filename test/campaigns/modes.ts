/** A way to launch. */
export interface Mode {
  readonly name: string
  /** What stands before the container's name or the program. `directory` is where all that the scenes look at lies. */
  options(directory: string): readonly string[]
  /** What the witness tells differently than without appc. */
  readonly tells: Readonly<Record<string, string>>
  /** The same where root launches. */
  readonly tellsRoot: Readonly<Record<string, string>>
  /** Whether it is tried in every place that a program may be launched in, or in one. */
  readonly everywhere: boolean
}

/** A file that nobody with a /tmp of his own sees. */
export const outside = '/tmp/outside'

const confined = {
  descriptors: '0 1 2',
  'no new privileges': '1',
  seccomp: '2',
  capabilities: 'none',
  bounding: 'none',
  [outside]: 'ENOENT',
}

export const modes: readonly Mode[] = [
  { name: 'plain', options: () => [], tells: { namespaces: 'mnt' }, tellsRoot: {}, everywhere: true },
  {
    // A supervisor, a process 1, and all parts.
    name: 'confined',
    options: directory => ['--sandbox', '--ro', directory],
    tells: { ...confined, namespaces: 'mnt pid ipc uts net', 'can signal its parent': 'no' },
    tellsRoot: { '/opt can be written': 'EROFS' },
    everywhere: true,
  },
  {
    // Nobody beside the program.
    name: 'confined in place',
    options: directory => [
      ...['--read-only', '--private-tmp', '--private-home', '--private-run', '--private-dev', '--unshare-net'],
      ...['--seccomp', '--landlock', '--drop-capabilities', '--ro', directory],
    ],
    tells: { ...confined, namespaces: 'mnt net', 'can signal its parent': 'no' },
    tellsRoot: { '/opt can be written': 'EROFS' },
    everywhere: false,
  },
  {
    // A supervisor, and no PID namespace that would take all along.
    name: 'in a session of its own',
    options: () => ['--new-session'],
    tells: { descriptors: '0 1 2', namespaces: 'mnt' },
    tellsRoot: {},
    everywhere: false,
  },
]
