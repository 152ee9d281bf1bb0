import type { Random } from '../fuzz/random.js'
import type { Ran } from '../support/site.js'
import { INCLUDED } from './together-tree.js'

/** One command, and what is wrong with what it answered: null where that is right. */
export interface Operation {
  readonly name: string
  readonly program: 'appc' | 'appc-run'
  readonly words: readonly string[]
  /** Standard input, and how many milliseconds after the start it comes. */
  readonly input?: { readonly text: string; readonly after: number }
  /** Of an answer with status 0. */
  readonly judge: (ran: Ran) => string | null
  /** Codes of errors that are right answers here. */
  readonly rightErrors: readonly string[]
}

export interface Names {
  /** That the worker may change. */
  readonly own: readonly string[]
  /** That it may launch. */
  readonly all: readonly string[]
}

export interface Sources {
  readonly trees: readonly string[]
  /** Of settings: an open one and one that not everybody may read. */
  readonly files: readonly string[]
}

type Make = (random: Random, names: Names, sources: Sources) => Omit<Operation, 'name'>

const fine = () => null

function appc(words: readonly string[], rightErrors: readonly string[] = [], judge: Operation['judge'] = fine) {
  return { program: 'appc', words, judge, rightErrors: ['CONTAINER_UNKNOWN', ...rightErrors] } as const
}

/** All of one version: that which was packed, whatever was packed since. */
function isOneVersion({ stdout }: Ran): string | null {
  const [first = '', late] = stdout.trimEnd().split('\n')
  const [loaded, plugged, data, setting = ''] = first.split(' ')
  const isOne = /^v[0-9]$/.test(loaded ?? '') && [plugged, data, late ?? loaded].every(word => word === loaded)
  return isOne && ['none', 'open', 'closed'].includes(setting) ? null : `a mix: ${JSON.stringify(stdout)}`
}

function nothingMended({ stdout }: Ran): string | null {
  const lines = stdout.split('\n').filter(line => line !== '')
  const { mended } = JSON.parse(lines.at(-1) ?? '{}') as { readonly mended?: number }
  return mended === 0 ? null : `it mended what was sound: ${stdout}`
}

const SETTING = '/etc/together/setting'

const MAKERS: Readonly<Record<string, readonly [share: number, make: Make]>> = {
  launch: [
    12,
    (random, { all }) => ({
      program: 'appc-run',
      words: [random.pick(all)],
      judge: isOneVersion,
      rightErrors: ['CONTAINER_UNKNOWN'],
    }),
  ],
  'launch, and go on': [
    6,
    (random, { all }) => ({
      program: 'appc-run',
      words: [random.pick(all), 'stay'],
      input: { text: '\n', after: random.below(4000) },
      judge: isOneVersion,
      rightErrors: ['CONTAINER_UNKNOWN'],
    }),
  ],
  pack: [
    6,
    (random, { own }, { trees }) => {
      const words = ['pack', '--json', '--root', random.pick(trees), '--name', random.pick(own), 'together']
      const include = INCLUDED.flatMap(path => ['--include', path])
      const update = random.once(3) ? [] : ['--update']
      return appc([...words, ...include, ...update], update.length > 0 ? [] : ['CONTAINER_EXISTS'])
    },
  ],
  verify: [
    4,
    (random, { own }) => {
      const name = random.once(2) ? [random.pick(own)] : []
      return appc(['verify', '--json', ...name, ...(random.once(2) ? ['--full'] : [])])
    },
  ],
  repair: [
    4,
    (random, { own }) =>
      appc(
        ['repair', '--json', ...(random.once(2) ? [random.pick(own)] : []), ...(random.once(2) ? ['--full'] : [])],
        [],
        nothingMended,
      ),
  ],
  'set a file': [
    4,
    (random, { own }, { files }) => appc(['settings', '--json', random.pick(own), 'set', SETTING, random.pick(files)]),
  ],
  'set a variable': [
    2,
    (random, { own }) => appc(['settings', '--json', random.pick(own), 'set', '--env', `WORD=${random.below(3)}`]),
  ],
  unset: [
    2,
    (random, { own }) => appc(['settings', '--json', random.pick(own), 'unset', SETTING], ['SETTING_UNKNOWN']),
  ],
  'roll back': [3, (random, { own }) => appc(['rollback', '--json', random.pick(own)], ['GENERATION_UNKNOWN'])],
  copy: [
    2,
    (random, { own, all }) => appc(['copy', '--json', random.pick(all), random.pick(own)], ['CONTAINER_EXISTS']),
  ],
  remove: [3, (random, { own }) => appc(['remove', '--json', random.pick(own)], ['CONTAINER_IN_USE'])],
  collect: [
    3,
    random => {
      const keep = random.once(2) ? ['--keep', String(1 + random.below(3))] : []
      return appc([
        'gc',
        '--json',
        ...keep,
        ...(random.once(2) ? ['--grace', '0'] : []),
        ...(random.once(4) ? ['--dry-run'] : []),
      ])
    },
  ],
  plan: [2, (random, { all }) => appc(['plan', '--json', random.pick(all)])],
  tell: [
    3,
    (random, { own, all }) =>
      appc(
        random.pick([
          ['list', '--json'],
          ['du', '--json'],
          ['ps', '--json'],
          ['generations', '--json', random.pick(own)],
          ['settings', '--json', random.pick(all)],
        ]),
      ),
  ],
}

export const OPERATIONS = Object.keys(MAKERS)

export function pickOperation(random: Random, names: Names, sources: Sources): Operation {
  const makers = Object.entries(MAKERS)
  let at = random.below(makers.reduce((sum, [, [share]]) => sum + share, 0))
  const found = makers.find(([, [share]]) => {
    at -= share
    return at < 0
  })
  const [name, [, make]] = found as (typeof makers)[number]
  return { name, ...make(random, names, sources) }
}

/** What is wrong with an answer; null where it is right. `code`: of the error that was told. */
export function wrongWith(
  operation: Operation,
  ran: Ran,
): { readonly text: string | null; readonly code: string | null } {
  const code = codeOf(ran.stderr)
  if (code !== null && operation.rightErrors.includes(code) && ran.stdout === '') return { text: null, code }
  if (ran.status !== 0)
    return { text: `exit ${ran.status ?? ran.signal}: ${ran.stdout.slice(-1500)} ${ran.stderr.slice(-2500)}`, code }
  if (ran.stderr.trim() !== '') return { text: `it told: ${ran.stderr.slice(-1500)}`, code }
  return { text: operation.judge(ran), code }
}

function codeOf(text: string): string | null {
  const line = text.split('\n').find(line => line.startsWith('{')) ?? ''
  try {
    return (JSON.parse(line) as { readonly code?: string }).code ?? null
  } catch {
    return null
  }
}
