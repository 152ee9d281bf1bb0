import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../../lib/errors.js'
import { createStore, type Store } from '../../lib/store/store.js'
import { Writer } from '../../lib/store/writer.js'
import { repairObjects } from '../../lib/upkeep/repair.js'
import { system } from '../store/system.js'

/*
 * Writes to a store on a file system that takes bytes and cannot write them later, of which another process is told, and then can again:
 * prints the code of the error with which that ends, and how many objects have their names by then. In a mount namespace of its own, which
 * takes all that is mounted with it.
 */

/** ext4 in a file that has not the room which it believes to have, before `heal`. */
function mountForgetful(place: string): { readonly mounted: string; readonly heal: () => void } {
  const [small, mounted] = [join(place, 'small'), join(place, 'mounted')]
  for (const directory of [small, mounted]) mkdirSync(directory)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=60M', 'tmpfs', small])
  const [image, filler] = [join(small, 'image'), join(small, 'filler')]
  execFileSync('truncate', ['-s', '64M', image])
  execFileSync('mkfs.ext4', ['-q', '-O', '^has_journal', '-E', 'lazy_itable_init=0', image])
  writeFileSync(filler, Buffer.alloc(50 << 20))
  execFileSync('mount', ['-o', 'loop', image, mounted])
  return { mounted, heal: () => unlinkSync(filler) }
}

/** Its files are files of `mounted`. */
function mountOverlay(place: string, mounted: string): string {
  const paths = {
    upper: join(mounted, 'upper'),
    work: join(mounted, 'work'),
    lower: join(place, 'lower'),
    merged: join(place, 'merged'),
  }
  for (const directory of Object.values(paths)) mkdirSync(directory)
  const options = `lowerdir=${paths.lower},upperdir=${paths.upper},workdir=${paths.work}`
  execFileSync('mount', ['-t', 'overlay', '-o', options, 'overlay', paths.merged])
  return paths.merged
}

const FILES = Array.from({ length: 6 }, () => randomBytes(5 << 20))

const KINDS: Readonly<Record<string, (store: Store, place: string) => void>> = {
  write: store =>
    Writer.use(store, writer => {
      for (const bytes of FILES)
        writer.add({ size: bytes.length, read: (buffer, at) => bytes.copy(buffer, 0, at), close: () => {} }, false)
      writer.commit()
    }),
  repair: (store, place) => {
    const wanted = FILES.map((bytes, index) => {
      const path = join(place, `source${index}`)
      writeFileSync(path, bytes)
      return { path, key: createHash('sha256').update(bytes).digest('hex'), size: bytes.length }
    })
    const damaged = wanted.map(({ path, key, size }) => {
      const problem = { kind: 'missing', path, because: '', object: key, neededBy: [], actualDigest: null } as const
      return { key, size, paths: [], problem }
    })
    const sources = [
      ({ key }: { key: string }) => wanted.filter(each => each.key === key).map(({ path }) => ({ path, from: 'here' })),
    ]
    repairObjects(store, damaged, sources)
  },
}

const [place = '', below, kind = ''] = process.argv.slice(2)
const { mounted, heal } = mountForgetful(place)
const home = join(below === 'overlay' ? mountOverlay(place, mounted) : mounted, 'store')
createStore({ home, system }, 0)
let told: number | null = null
// Asked for when all bytes are written, and nothing is synced.
const enableVerity = () => {
  told ??= spawnSync('sync', ['--file-system', mounted]).status
  if (told === 1) heal()
  return false
}
let code: string | null = null
try {
  KINDS[kind]?.({ home, system: { ...system, enableVerity } }, place)
} catch (error) {
  if (!(error instanceof AppcError)) throw error
  code = error.code
}
const objects = readdirSync(join(home, 'objects')).flatMap(name => readdirSync(join(home, 'objects', name)))
process.stdout.write(JSON.stringify({ told, code, objects: objects.length }))
