import { chmodSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { isExecutable } from '../../lib/container/containers.js'
import type { PackedRegular } from '../../lib/container/types.js'
import type { Decision } from '../../lib/decide/types.js'
import { importObjects } from '../../lib/launch/import-private.js'
import { hostAt } from '../../lib/launch/machine.js'
import { decideContainer } from '../../lib/launch/prepare.js'
import { objectPath } from '../../lib/store/objects.js'
import type { Store } from '../../lib/store/store.js'
import { library } from '../container/tree.js'
import { libraries, newStore, packInto, program, tree } from '../decide/scenario.js'

const one = library('libone.so.1', 'int one(void) { return 1; }')
const app = program('int one(void); int main(void) { return one(); }', { 'libone.so.1': one })
const home = tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: one })

interface Decided {
  readonly system: Store
  readonly decision: Decision
  readonly files: readonly PackedRegular[]
}

function decided(t: Test): Decided {
  const system = newStore()
  packInto(system, home)
  const { decision } = decideContainer(system, 'app', hostAt(tree({}), {}))
  const files = [...decision.placement.values()].flatMap(node => (node.kind === 'file' ? [node.file] : []))
  t.equal(files.length, 2)
  return { system, decision, files }
}

const pathIn = (store: Store, { sha256, mode }: PackedRegular) => objectPath(store, sha256, isExecutable(mode))

t.test('what is missing or cut short is copied; what is there stays the same file', async t => {
  const { system, decision, files } = decided(t)
  const own = newStore()
  importObjects(own, system, decision.placement)
  const inodes = () => files.map(file => statSync(pathIn(own, file)).ino)
  const first = inodes()
  for (const [at, file] of files.entries()) {
    t.equal(statSync(pathIn(own, file)).size, file.size)
    t.not(first[at], statSync(pathIn(system, file)).ino)
  }
  importObjects(own, system, decision.placement)
  t.same(inodes(), first)
  const [cut, whole] = files as [PackedRegular, PackedRegular]
  chmodSync(pathIn(own, cut), 0o644)
  writeFileSync(pathIn(own, cut), '')
  importObjects(own, system, decision.placement)
  t.equal(statSync(pathIn(own, cut)).size, cut.size)
  t.equal(statSync(pathIn(own, whole)).ino, first[1])
})

t.test('equal bytes of a program and of data are two objects', async t => {
  const { system, decision } = decided(t)
  const [path, node] = [...decision.placement].find(([, { kind }]) => kind === 'file') as [
    string,
    { file: PackedRegular },
  ]
  const asData: PackedRegular = { ...node.file, mode: 0o644 }
  writeFileSync(pathIn(system, asData), app.length === asData.size ? app : one)
  const placement = new Map([...decision.placement, [`${path}.data`, { kind: 'file', file: asData }] as const])
  const own = newStore()
  importObjects(own, system, placement)
  for (const file of [node.file, asData]) t.ok(statSync(pathIn(own, file)).isFile())
})

t.test('damage of the system’s is told, and nothing of it is taken', async t => {
  const damages: readonly ((path: string) => void)[] = [
    path => rmSync(path),
    path => writeFileSync(path, ''),
    path => writeFileSync(path, Buffer.alloc(statSync(path).size)),
  ]
  for (const damage of damages) {
    const { system, decision, files } = decided(t)
    const path = pathIn(system, files[1] as PackedRegular)
    chmodSync(path, 0o755)
    damage(path)
    const own = newStore()
    t.throws(() => importObjects(own, system, decision.placement), { code: 'STORE_CORRUPT', message: new RegExp(path) })
    t.same(readdirSync(join(own.home, 'objects')), [])
    t.same(readdirSync(join(own.home, 'tmp')), [])
  }
})
