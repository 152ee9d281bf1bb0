import {
  chmodSync,
  copyFileSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { compile } from '../support/fixtures.js'
import { endOf, started } from '../support/lasting.js'
import { refusing } from '../support/refusing.js'
import { forEachPerson, type Site } from '../support/site.js'
import { LIBRARIES, makeSmallTree, upgrade } from '../support/small-tree.js'
import { type Line, Watching } from '../support/watching.js'

const LIBRARY = `${LIBRARIES}/libprivate.so.1`
/** Says "ready" and what its library tells, and then nothing until its input ends. */
const PROGRAM = `#include <stdio.h>
const char *told(void);
int main(void) { printf("ready %s\\n", told()); fflush(stdout); while (getchar() != EOF); return 0; }`

/** The host lacks the library. */
async function prepare(site: Site): Promise<{ readonly origin: string; readonly host: string }> {
  const [origin, host] = [join(site.directory, 'origin'), join(site.directory, 'host')]
  for (const tree of [origin, host]) makeSmallTree(tree)
  upgrade(origin, LIBRARY, 'const char *told(void) { return "right"; }')
  compile(origin, 'usr/bin/program', PROGRAM, [join(origin, LIBRARY)])
  await site.pack(origin, 'app', 'program')
  return { origin, host }
}

function find(directory: string, is: (path: string) => boolean): string {
  const found = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map(name => join(directory, name))
    .find(is)
  if (found === undefined) throw new Error(`it is not below ${directory}`)
  return found
}

interface Places {
  /** The object, and its name in the view. */
  readonly object: string
  readonly view: string
}

function placesOf(site: Site): Places {
  const view = find(join(site.store, 'views'), path => basename(path) === basename(LIBRARY))
  const { ino } = lstatSync(view)
  return { object: find(join(site.store, 'objects'), path => lstatSync(path).ino === ino), view }
}

/** In place, under the old time and mode: what the library tells is wrong then, and it still loads. */
function overwrite(path: string): void {
  const { atime, mtime, mode } = statSync(path)
  const bytes = readFileSync(path)
  bytes.write('wrong', bytes.indexOf('right\0'))
  chmodSync(path, 0o755)
  writeFileSync(path, bytes, { flag: 'r+' })
  utimesSync(path, atime, mtime)
  chmodSync(path, mode & 0o7777)
}

const damages: Readonly<Record<string, (places: Places) => void>> = {
  'overwritten in place': ({ object }) => overwrite(object),
  'overwritten through the view': ({ view }) => overwrite(view),
  // The program has not loaded anything that it has not read yet.
  'cut short behind what is loaded': ({ object }) => truncateSync(object, statSync(object).size - 16),
  deleted: ({ object }) => rmSync(object),
  'deleted in the view': ({ view }) => rmSync(view),
  'given another mode': ({ object }) => chmodSync(object, 0o646),
  replaced: ({ object }) => {
    copyFileSync(object, `${object}~`)
    overwrite(`${object}~`)
    renameSync(`${object}~`, object)
  },
  'replaced in the view': ({ view }) => {
    copyFileSync(view, `${view}~`)
    overwrite(`${view}~`)
    renameSync(`${view}~`, view)
  },
}

/** Of these the running program has the file that was damaged. */
const HELD = ['overwritten in place', 'overwritten through the view', 'cut short behind what is loaded']

const WAYS: Readonly<Record<string, readonly string[]>> = { fanotify: [], inotify: refusing('fanotify_init:EPERM') }

const MOST_MS = 1000

interface Case {
  readonly site: Site
  readonly launch: readonly string[]
  readonly watching: Watching
  readonly what: string
  readonly damage: (places: Places) => void
  readonly tellsWho: boolean
}

/** Does the damage while the program runs; returns after how many milliseconds it was mended, and that told. */
async function mended(t: Test, { site, launch, watching, what, damage, tellsWho }: Case): Promise<number> {
  const running = await started(site, launch)
  const places = placesOf(site)
  const began = performance.now()
  damage(places)
  const first = (await watching.next()) as Line
  const milliseconds = Math.round(performance.now() - began)
  t.equal(first.event, 'mended', what)
  t.ok(String(readFileSync(places.object)).includes('right\0'), `${what}: the object`)
  if (HELD.includes(what)) {
    t.match(first.holders, [{ pid: running.pid, command: 'program', container: 'app' }], what)
    t.match(await watching.next(), { event: 'mended', kind: 'view' }, `${what}: the view has the new object`)
  }
  if (site.user.uid !== 0) t.same(first.culprits, [], what)
  else if (tellsWho) t.match(first.culprits, [{ pid: process.pid }], what)
  running.stdin?.end()
  t.same(await endOf(running), [0, null], what)
  t.match(await site.run(launch), { status: 0, stdout: 'ready right\n', stderr: '' }, `${what}: the next launch`)
  return milliseconds
}

t.setTimeout(180_000)

forEachPerson((who, makeSite) =>
  t.test(`a library is damaged while its program runs, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const { origin, host } = await prepare(site)
    const launch = ['--root', host, 'app']
    for (const [method, way] of Object.entries(WAYS)) {
      t.test(method, async t => {
        const [program = '', ...words] = [...way, process.execPath, site.cli, 'watch', '--json', '--from', origin]
        t.match(await site.run(launch), { status: 0, stdout: 'ready right\n' })
        const watching = Watching.of(site.start(program, words))
        t.match(await watching.next(), { event: 'watching', method })
        for (const [what, damage] of Object.entries(damages)) {
          const times: number[] = []
          // On a machine that does much else it may take longer once.
          while (times.length < 3 && !times.some(time => time <= MOST_MS))
            times.push(await mended(t, { site, launch, watching, what, damage, tellsWho: method === 'fanotify' }))
          t.ok(Math.min(...times) <= MOST_MS, `${what}: ${times.join(', ')} ms`)
        }
        t.match(await watching.end(), { status: 0, stderr: '' })
      })
    }
  }),
)
