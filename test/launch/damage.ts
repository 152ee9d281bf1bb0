import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import t from 'tap'
import { compile } from '../support/fixtures.js'
import { forEachPerson, type Ran, type Site } from '../support/site.js'
import { LIBRARIES, makeSmallTree, upgrade } from '../support/small-tree.js'

/** Loads one library at its start, opens another later, and reads a file: what it tells, it has from these. */
const PROGRAM = `
  #include <dlfcn.h>
  #include <stdio.h>
  const char *loaded(void);
  int main(void) {
    char text[100] = "";
    void *plugin = dlopen("/usr/lib/program/plugin.so", RTLD_NOW);
    const char *(*plugged)(void) = plugin ? (const char *(*)(void))dlsym(plugin, "plugged") : 0;
    FILE *data = fopen("/usr/share/program/data", "r");
    if (!plugged || !data || !fgets(text, sizeof text, data)) return 1;
    printf("%s %s %s", loaded(), plugged(), text);
    return 0;
  }`
const RIGHT = 'loaded plugged data\n'

const LOADED = `${LIBRARIES}/libloaded.so.1`
const PLUGIN = '/usr/lib/program/plugin.so'
const DATA = '/usr/share/program/data'
const FILES = ['/usr/bin/program', LOADED, PLUGIN, DATA]
const told = (name: string) => `const char *${name}(void) { return "${name}"; }`

/** The host lacks all of it. */
async function prepare(site: Site): Promise<string> {
  const host = join(site.directory, 'host')
  makeSmallTree(host)
  const origin = join(site.directory, 'origin')
  makeSmallTree(origin)
  upgrade(origin, LOADED, told('loaded'))
  upgrade(origin, PLUGIN, told('plugged'))
  mkdirSync(join(origin, dirname(DATA)), { recursive: true })
  writeFileSync(join(origin, DATA), 'data\n')
  compile(origin, 'usr/bin/program', PROGRAM, [join(origin, LOADED)])
  const include = [PLUGIN, DATA].flatMap(path => ['--include', path])
  const packed = await site.appc('pack', '--root', origin, '--name', 'program', 'program', ...include)
  if (packed.status !== 0) throw new Error(packed.stderr)
  return host
}

/** Where the private file of this path lies in the view: a hard link of its object. */
function inView(site: Site, path: string): string {
  const views = join(site.store, 'views')
  const found = readdirSync(views, { recursive: true, encoding: 'utf8' }).find(
    name => basename(name) === basename(path),
  )
  if (found === undefined) throw new Error(`${path} is not in the view`)
  return join(views, found)
}

function objectOf(site: Site, path: string): string {
  const { ino } = lstatSync(inView(site, path))
  const objects = join(site.store, 'objects')
  const found = readdirSync(objects, { recursive: true, encoding: 'utf8' }).find(
    name => lstatSync(join(objects, name)).ino === ino,
  )
  if (found === undefined) throw new Error(`${path} has no object`)
  return join(objects, found)
}

/** Changes the bytes of a file in place; its time of modification and its mode are as before. */
function rewrite(path: string, change: (bytes: Buffer) => void): void {
  const { atime, mtime, mode } = lstatSync(path)
  const bytes = readFileSync(path)
  change(bytes)
  chmodSync(path, 0o755)
  writeFileSync(path, bytes)
  utimesSync(path, atime, mtime)
  chmodSync(path, mode & 0o777)
}

/** What the programs tell is part of their bytes: so a damaged one that runs would tell something else, or break. */
function flip(bytes: Buffer): void {
  const at = ['loaded\0', 'plugged\0', 'data\n'].map(text => bytes.lastIndexOf(text)).find(at => at >= 0) ?? 0x40
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
}

function exchange(one: string, other: string): void {
  renameSync(one, `${one}.aside`)
  renameSync(other, one)
  renameSync(`${one}.aside`, other)
}

/** What is done to an object: afterwards there are no right bytes. */
const objectDamages: Readonly<Record<string, (path: string) => void>> = {
  'a byte changed in place': path => rewrite(path, flip),
  'zeros in place': path => rewrite(path, bytes => bytes.fill(0)),
  'cut short': path => truncateSync(path, 3),
  empty: path => truncateSync(path),
}

/** What is done to an object where right bytes are at hand: it is mended. */
const mendedDamages: Readonly<Record<string, (path: string) => void>> = {
  'gone, but for its name in the view': path => rmSync(path),
  'another mode': path => chmodSync(path, 0o4755),
  'other bytes in its place, while the view has the right ones': path => {
    copyFileSync(path, `${path}.new`)
    rewrite(`${path}.new`, flip)
    renameSync(`${path}.new`, path)
  },
}

/** What is done to the view, where the object is right: it is mended. `path`: of the file in it. */
const viewDamages: Readonly<Record<string, (path: string) => void>> = {
  'other bytes': path => {
    copyFileSync(path, `${path}.new`)
    rewrite(`${path}.new`, flip)
    renameSync(`${path}.new`, path)
  },
  'a name that is gone': path => rmSync(path),
  'a link': path => {
    rmSync(path)
    symlinkSync('/etc/passwd', path)
  },
  'a directory that is gone': path => rmSync(dirname(path), { recursive: true }),
  'all of it': path => rmSync(dirname(path).replace(/(\/views\/[^/]+).*/, '$1'), { recursive: true }),
}

/** All for what is not loaded at the start; for the others, of which the same is to be expected, the first. */
function chosen<Damage>(
  damages: Readonly<Record<string, Damage>>,
  file: string,
): readonly (readonly [string, Damage])[] {
  return Object.entries(damages).slice(0, file === PLUGIN ? undefined : 1)
}

forEachPerson((who, makeSite) =>
  t.test(`no damaged file is run, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const host = await prepare(site)
    // The error as programs get it.
    const launch = (): Promise<Ran> => {
      const script = 'exec "$0" --error-fd 3 --root "$1" program 3>&2'
      return site.command('/bin/sh', ['-c', script, site.launcher, host])
    }
    t.match(await launch(), { status: 0, stdout: RIGHT })
    const sound = join(site.directory, 'sound')
    execFileSync('cp', ['--archive', site.store, sound])
    const reset = async () => {
      for (const name of ['objects', 'views']) rmSync(join(site.store, name), { recursive: true })
      // Together, as the view's files are hard links of the objects.
      execFileSync('cp', ['--archive', join(sound, 'objects'), join(sound, 'views'), site.store])
      t.match(await launch(), { status: 0, stdout: RIGHT })
    }

    for (const file of FILES) {
      t.test(`the object of ${basename(file)}`, async t => {
        for (const [what, damage] of chosen(objectDamages, file)) {
          await reset()
          const object = objectOf(site, file)
          damage(object)
          // The second time too: a plan that was made with what is damaged would hold.
          for (const time of ['first', 'second']) {
            const ran = await launch()
            t.match(ran, { status: 125, stdout: '' }, `${what}, the ${time} time`)
            t.match(JSON.parse(ran.stderr), {
              code: 'STORE_CORRUPT',
              message: `${file} of program is damaged`,
              cause: new RegExp(object.replace(/[.]/g, '\\.')),
              hint: 'appc repair program',
            })
          }
        }
      })

      t.test(`the object of ${basename(file)}, mended`, async t => {
        for (const [what, damage] of chosen(mendedDamages, file)) {
          await reset()
          damage(objectOf(site, file))
          t.match(await launch(), { status: 0, stdout: RIGHT }, what)
          const { mode } = lstatSync(objectOf(site, file))
          t.ok([0o444, 0o555].includes(mode & 0o7777), what)
        }
      })

      t.test(`${basename(file)} in the view`, async t => {
        for (const [what, damage] of chosen(viewDamages, file)) {
          await reset()
          damage(inView(site, file))
          t.match(await launch(), { status: 0, stdout: RIGHT }, what)
          t.match(await launch(), { status: 0, stdout: RIGHT }, `${what}, once more`)
        }
      })
    }

    t.test('what is decided by is read from right bytes', async t => {
      const decision = async () => JSON.parse((await site.appc('plan', '--json', '--root', host, 'program')).stdout)
      const anew = () => {
        rmSync(join(site.store, 'cache'), { recursive: true, force: true })
        for (const plan of readdirSync(join(site.store, 'plans'))) rmSync(join(site.store, 'plans', plan))
      }
      await reset()
      anew()
      const right = await decision()
      anew()
      const object = objectOf(site, '/usr/bin/program')
      copyFileSync(object, `${object}.new`)
      rewrite(`${object}.new`, bytes => bytes.write('libq', bytes.indexOf('libc.so.6')))
      renameSync(`${object}.new`, object)
      t.match(await launch(), { status: 0, stdout: RIGHT }, 'another needed name, while the view has the right bytes')
      t.same(await decision(), right, 'nothing wrong is remembered')

      anew()
      rewrite(objectOf(site, PLUGIN), bytes => bytes.fill(0, 0, 4))
      const refused = await launch()
      t.match(refused, { status: 125, stdout: '' })
      t.match(JSON.parse(refused.stderr), { code: 'STORE_CORRUPT', message: `${PLUGIN} of program is damaged` })
    })

    t.test('two objects exchanged', async t => {
      await reset()
      exchange(objectOf(site, LOADED), objectOf(site, PLUGIN))
      t.match(await launch(), { status: 125, stdout: '', stderr: /STORE_CORRUPT/ })
    })

    t.test('what only looks like damage', async t => {
      const harmless: Readonly<Record<string, (path: string) => void>> = {
        'an object that was replaced by its like': path => {
          copyFileSync(path, `${path}.new`)
          renameSync(`${path}.new`, path)
        },
        'one that was written anew': path => rewrite(path, () => {}),
        touched: path => utimesSync(path, new Date(), new Date()),
      }
      for (const [what, change] of Object.entries(harmless)) {
        await reset()
        change(objectOf(site, LOADED))
        t.match(await launch(), { status: 0, stdout: RIGHT }, what)
        t.match(await site.run(['--root', host, 'program'], { env: { PATH: '/nonexistent' } }), { status: 0 })
      }
    })

    t.test('right bytes again: it is run again', async t => {
      await reset()
      const object = objectOf(site, PLUGIN)
      rewrite(object, flip)
      t.match(await launch(), { status: 125, stdout: '' })
      rewrite(object, bytes => {
        bytes.writeUInt8(bytes.readUInt8(bytes.lastIndexOf('qlugged\0')) ^ 1, bytes.lastIndexOf('qlugged\0'))
      })
      t.match(await launch(), { status: 0, stdout: RIGHT })
    })
  }),
)
