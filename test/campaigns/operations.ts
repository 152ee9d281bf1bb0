import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { launcher } from '../decide/scenario.js'
import { APPC } from '../support/node.js'
import type { Place } from './place.js'
import { generationsIn } from './store-refs.js'

/** Something that changes a store, to be disturbed at each of its steps. To try one more is to add an entry to `operations`. */
export interface Operation {
  readonly name: string
  /** Makes the store in which it begins. */
  prepare(place: Place): void
  /** The command line. */
  command(place: Place): readonly string[]
  /** What a rerun may say instead of success, since the one that was disturbed had done all but tell. */
  readonly done: RegExp | null
  /** Commands of appc after which a store that was disturbed holds the same as one that was not. */
  readonly settle: readonly (readonly string[])[]
}

/** Nothing is left in tmp/ after it, and nothing that nobody needs. */
const collected = [['gc', '--grace', '0']] as const

/** A command of appc's that can be repeated. */
function appc(name: string, prepare: Operation['prepare'], words: readonly string[]): Operation {
  return { name, prepare, command: () => [...APPC, ...words], done: null, settle: collected }
}

export const operations: readonly Operation[] = [
  {
    name: 'pack into no store',
    prepare: () => {},
    command: place => [...APPC, ...packing(place, 'second')],
    done: null,
    settle: collected,
  },
  {
    name: 'pack',
    prepare: place => pack(place, 'first'),
    command: place => [...APPC, ...packing(place, 'second')],
    done: null,
    settle: collected,
  },
  {
    // Packing again mends what it finds damaged.
    name: 'pack again',
    prepare: place => {
      pack(place, 'first', 'second')
      spoil(place, 'bin/second')
    },
    command: place => [...APPC, ...packing(place, 'second')],
    done: null,
    settle: collected,
  },
  {
    name: 'update',
    prepare: place => {
      pack(place, 'first', 'second')
      set(place, 'second')
    },
    command: place => [...APPC, ...packing(place, 'second', 'third'), '--update'],
    done: null,
    settle: collected,
  },
  appc('settings', place => pack(place, 'first'), ['settings', 'first', 'set', '/etc/one.conf', '../tree/share/a']),
  // Readable by its owner alone.
  appc('secret', place => pack(place, 'first'), ['settings', 'first', 'set', '/etc/two.conf', '../tree/share/secret']),
  appc('variable', place => pack(place, 'first'), ['settings', 'first', 'set', '--env', 'NAME=value']),
  {
    ...appc('unset', place => set(place, 'first'), ['settings', 'first', 'unset', '/etc/two.conf']),
    done: /first has no setting/,
  },
  appc('rollback', place => set(place, 'first'), ['rollback', 'first', '1']),
  {
    ...appc('copy', place => set(place, 'first'), ['copy', 'first', 'second']),
    done: /there is a container second already/,
  },
  {
    // Of what belongs to the container there is a plan, a view, and objects that are its own and such that are not.
    ...appc('remove', place => launched(place), ['remove', 'second']),
    done: /there is no container second/,
  },
  appc('gc', place => launched(place), ['gc', '--keep', '1', '--grace', '0']),
  appc('gc with grace', place => launched(place), ['gc', '--keep', '1']),
  {
    // Of objects, of a view by them, and of a ref.
    ...appc('repair', place => damaged(place), []),
    command: ({ tree }) => [...APPC, 'repair', '--full', '--from', tree],
  },
  appc('upgrade', place => inFirstLayout(place), ['list']),
  {
    name: 'launch',
    prepare: place => set(place, 'first'),
    command: () => [launcher, 'first'],
    done: null,
    settle: collected,
  },
]

function pack(place: Place, ...names: readonly string[]): void {
  for (const name of names) place.appc(...packing(place, name))
}

function packing({ tree }: Place, name: string, program = name): readonly string[] {
  return ['pack', '--root', tree, '--name', name, `/bin/${program}`, '--include', '/share/a', '--include', '/share/b']
}

/** Packs it where it is not there, and sets up a file for all and one that is not. */
function set(place: Place, name: string): void {
  pack(place, name)
  place.appc('settings', name, 'set', '/etc/one.conf', join(place.tree, 'share/b'))
  place.appc('settings', name, 'set', '/etc/two.conf', join(place.tree, 'share/secret'))
}

/** A container that has been launched, in two generations, and another. */
function launched(place: Place): void {
  pack(place, 'first')
  set(place, 'second')
  place.launch('second')
  place.appc('settings', 'second', 'unset', '/etc/two.conf')
  place.launch('second')
}

/** What is damaged belongs to containers whose ref is sound, so that it can be told what they lacked before. */
function damaged(place: Place): void {
  launched(place)
  pack(place, 'third')
  spoil(place, 'bin/second')
  spoil(place, 'bin/third')
  writeFileSync(join(place.home, 'refs/first'), 'not a ref')
}

/** A store as the first layout had it: a ref is the digest of a manifest, and there is nothing but objects and what is derived. */
function inFirstLayout(place: Place): void {
  pack(place, 'first', 'second')
  for (const name of readdirSync(join(place.home, 'refs'))) {
    const [generation] = generationsIn(readFileSync(join(place.home, 'refs', name), 'utf8')) ?? []
    writeFileSync(join(place.home, 'refs', name), `${generation?.container}\n`)
  }
  for (const name of ['version', 'spare', 'secrets', 'quarantine', 'state'])
    rmSync(join(place.home, name), { recursive: true })
}

/** A byte of the object that holds this file of the tree is another now, as where a disk fails: with the times of before. */
function spoil({ home, tree }: Place, file: string): void {
  const bytes = readFileSync(join(tree, file))
  const digest = createHash('sha256').update(bytes).digest('hex')
  const object = join(home, 'objects', digest.slice(0, 2), `${digest.slice(2)}.x`)
  const { atime, mtime } = statSync(object)
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1)
  writeFileSync(object, bytes)
  utimesSync(object, atime, mtime)
}
