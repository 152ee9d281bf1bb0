import { createHash } from 'node:crypto'
import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { launcher } from '../decide/scenario.js'
import { APPC } from '../support/node.js'
import type { Place } from './place.js'

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

/** A removal collects, and clears tmp/: nothing may be left there, and no object that nobody needs. */
const collected = [['remove', 'third']] as const

export const operations: readonly Operation[] = [
  {
    name: 'pack into no store',
    prepare: () => {},
    command: place => [...APPC, ...packing(place, 'second')],
    done: null,
    settle: [],
  },
  {
    name: 'pack',
    prepare: place => pack(place, 'first', 'third'),
    command: place => [...APPC, ...packing(place, 'second')],
    done: null,
    settle: collected,
  },
  {
    // Packing again mends what it finds damaged.
    name: 'pack again',
    prepare: place => {
      pack(place, 'first', 'second', 'third')
      spoil(place, 'bin/second')
    },
    command: place => [...APPC, ...packing(place, 'second')],
    done: null,
    settle: collected,
  },
  {
    // Of what belongs to the container there is a plan, a view, and objects that are its own and such that are not.
    name: 'remove',
    prepare: place => {
      pack(place, 'first', 'second', 'third')
      place.launch('second')
    },
    command: () => [...APPC, 'remove', 'second'],
    done: /there is no container second/,
    settle: collected,
  },
  {
    name: 'launch',
    prepare: place => pack(place, 'first', 'third'),
    command: () => [launcher, 'first'],
    done: null,
    settle: collected,
  },
]

function pack(place: Place, ...names: readonly string[]): void {
  for (const name of names) place.appc(...packing(place, name))
}

function packing({ tree }: Place, name: string): readonly string[] {
  return ['pack', '--root', tree, '--name', name, `/bin/${name}`, '--include', '/share']
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
