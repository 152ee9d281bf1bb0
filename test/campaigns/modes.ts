/** A way to launch. */
export interface Mode {
  readonly name: string
  /** What stands before the container's name or the program. All that is launched lies below `directory`; null: in a tree. */
  options(directory: string | null): readonly string[]
  /** What the witness is asked before the paths. */
  readonly questions: readonly string[]
  /** Its report of a plain launch, as it is in this mode. `name` is the container's. */
  report(plain: string, name: string): string
}

const plain: Mode = { name: 'plain', options: () => [], questions: [], report: plainly => plainly }

const standardStreams = (report: string) => report.replace(/^descriptors:.*$/m, 'descriptors: 0 1 2')

/** A supervisor stays beside the program, which has its rights. */
const supervised: Mode = {
  name: 'in a PID namespace',
  options: () => ['--unshare-pid'],
  questions: [],
  report: standardStreams,
}

const sandbox: Mode = {
  name: 'sandbox',
  options: directory => ['--sandbox', ...(directory === null ? [] : ['--ro', directory])],
  questions: ['--confined'],
  report: (plainly, name) =>
    standardStreams(plainly)
      .replace('/home/file: machine', '/home/file: ENOENT')
      .replace(/^NoNewPrivs:.*$/m, 'NoNewPrivs:\t1')
      .replace(/^Seccomp:.*$/m, 'Seccomp:\t2')
      .replace(
        /^capabilities: .*$/m,
        `capabilities: none\nconfined: host read-only, signal init EPERM, bounding set empty, called ${name}, parent 1, session 1, network its own, home private, run private`,
      ),
}

export const modes: readonly Mode[] = [plain, supervised, sandbox]
