import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { interrupt, type Undisturbed, undisturbed, wrongsAgainst, wrongsOfRerun } from './crash.js'
import type { Operation } from './operations.js'
import { Place } from './place.js'
import { compiled } from './stage.js'
import { run, type Step, stepsOf, traced } from './store-calls.js'
import { judge } from './store-judge.js'

/** With what makes each as large as it must be, and keeps what is not synced in memory as long as may be. */
const TYPES = {
  ext4: { size: '64M', make: ['mkfs.ext4', '-q', '-E', 'lazy_itable_init=0'], options: 'loop,commit=3600' },
  xfs: { size: '320M', make: ['mkfs.xfs', '-q'], options: 'loop' },
} as const

export type FileSystemType = keyof typeof TYPES
export const fileSystems = Object.keys(TYPES) as readonly FileSystemType[]

/** A place on a file system of its own, in a file. */
class Mounted extends Place {
  readonly #type: FileSystemType
  readonly #image: string
  readonly #shutdown: string

  constructor(type: FileSystemType, base: string, tree: string) {
    const [directory, image] = [join(base, type), join(base, `${type}.image`)]
    const { size, make } = TYPES[type]
    mkdirSync(directory)
    execFileSync('truncate', ['-s', size, image])
    execFileSync(make[0], [...make.slice(1), image])
    mount(type, image, directory)
    super(directory, tree)
    this.#type = type
    this.#image = image
    this.#shutdown = compiled('shutdown', base)
  }

  /** What was prepared was acknowledged long ago. */
  override restore(): void {
    super.restore()
    execFileSync('sync', ['-f', this.directory])
  }

  losePower(): void {
    execFileSync(this.#shutdown, [this.directory])
    execFileSync('umount', [this.directory])
    mount(this.#type, this.#image, this.directory)
  }

  end(): void {
    execFileSync('umount', [this.directory])
    for (const path of [this.#image, this.directory]) rmSync(path, { recursive: true })
  }
}

function mount(type: FileSystemType, image: string, directory: string): void {
  execFileSync('mount', ['-t', type, '-o', TYPES[type].options, image, directory])
}

/** What is no change is not followed by another disk. */
const CHANGES =
  /^(mkdir|rmdir|link|unlink|rename|symlink|mknod|openat?|write|pwrite64|ftruncate|f?chmod|fsync|syncfs|copy_file_range)/

/** Loses power right before each change, or each `every`th, and after the last. */
export async function losePower(
  type: FileSystemType,
  base: string,
  tree: string,
  operation: Operation,
  every: number,
): Promise<{ readonly count: number; readonly findings: readonly string[] }> {
  const place = new Mounted(type, base, tree)
  try {
    const right = await undisturbed(place, operation)
    const findings = await losesWithoutSyncs(place, operation, right)
    let count = 0
    const changes = stepsOf(right.calls).filter(({ name }) => CHANGES.test(name))
    for (const step of [...changes.filter((_, index) => index % every === 0), null]) {
      const acknowledged = await goTo(place, operation, step)
      if (acknowledged === null) continue
      count++
      findings.push(...(await wrongsWithoutPower(place, operation, right, step, acknowledged)))
      if (step !== null) findings.push(...(await wrongsOfSecond(place, operation, right, step)))
    }
    return { count, findings }
  } finally {
    place.end()
  }
}

/** Where all syncs do nothing a container that was told of must be lost, or else nothing is tried here. */
async function losesWithoutSyncs(place: Mounted, operation: Operation, right: Undisturbed): Promise<string[]> {
  if (wrongsAgainst(right.before, right, true).length === 0) return []
  place.restore()
  const { status, stderr } = await traced(place, operation.command(place), NO_SYNCS)
  if (status !== 0) throw new Error(`${operation.name}: ${status}\n${stderr}`)
  place.losePower()
  const lost = wrongsAgainst(judge(place.home), right, true).length > 0
  return lost ? [] : ['without a sync nothing is lost: this is no test']
}

const NO_SYNCS = ['-e', 'trace=fsync,fdatasync,syncfs', '-e', 'inject=fsync,fdatasync,syncfs:retval=0']

/** Whether the operation had told of its success there; null where the step is not met. */
async function goTo(place: Place, operation: Operation, step: Step | null): Promise<boolean | null> {
  if (step !== null) return (await interrupt(place, operation, step, 'SIGKILL')) === null ? null : false
  place.restore()
  const { status, stderr } = await run(place, operation.command(place))
  if (status !== 0) throw new Error(`${operation.name}: ${status}\n${stderr}`)
  return true
}

/** Of two in a row, the first of which was killed there, the second may tell of nothing that is not on the disk. */
async function wrongsOfSecond(
  place: Mounted,
  operation: Operation,
  right: Undisturbed,
  step: Step,
): Promise<readonly string[]> {
  if ((await interrupt(place, operation, step, 'SIGKILL')) === null) return []
  const { status } = await run(place, operation.command(place))
  place.losePower()
  return wrongsAgainst(judge(place.home), right, status === 0).map(
    wrong => `when it was killed before ${step.name} ${step.nth}, and done again: ${wrong}`,
  )
}

async function wrongsWithoutPower(
  place: Mounted,
  operation: Operation,
  right: Undisturbed,
  step: Step | null,
  acknowledged: boolean,
): Promise<readonly string[]> {
  place.losePower()
  const wrongs = [
    ...wrongsAgainst(judge(place.home), right, acknowledged),
    ...(await wrongsOfRerun(place, operation, right)),
  ]
  const where = step === null ? 'at the end' : `before ${step.name} ${step.nth}`
  return wrongs.map(wrong => `${where}: ${wrong}`)
}
