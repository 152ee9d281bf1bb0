import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Ran, Site } from '../support/site.js'
import { SystemStore } from '../support/system-store.js'
import { judge } from './store-judge.js'
import { generationsIn } from './store-refs.js'

/** When all have ended: both stores are sound, and after a collection hold what is needed and nothing else. */
export async function judgeQuiet(site: Site, system: SystemStore, find: (text: string) => void): Promise<void> {
  const commands = {
    'the system’s': (...words: readonly string[]) => system.asOwner(process.execPath, [site.cli, ...words]),
    'the user’s': (...words: readonly string[]) => system.asPerson(process.execPath, [site.cli, ...words]),
  }
  const homes = {
    'the system’s': join(system.root, SystemStore.home),
    'the user’s': join(site.home, '.local/share/appc'),
  }
  for (const [whose, appc] of Object.entries(commands)) {
    const tell = (text: string) => find(`in the end, ${whose} store: ${text}`)
    expectSound(await appc('verify', '--full'), tell)
    expectSound(await appc('gc', '--grace', '0'), tell)
    expectSound(await appc('verify', '--full'), tell)
    const home = homes[whose as keyof typeof homes]
    for (const wrong of judge(home).wrongs) tell(wrong)
    for (const wrong of leftovers(home)) tell(wrong)
  }
}

function expectSound({ status, stdout, stderr }: Ran, tell: (text: string) => void): void {
  if (status !== 0) tell(`exit ${status}: ${stdout.slice(-2000)} ${stderr.slice(-2000)}`)
}

/** What nobody needs: an object that neither a ref leads to nor a view holds; a secret; and what is to be empty. */
function leftovers(home: string): readonly string[] {
  const needed = new Set<string>()
  const secrets = new Set<string>()
  for (const name of readdirSync(join(home, 'refs')))
    for (const { container, settings } of generationsIn(readFileSync(join(home, 'refs', name), 'utf8')) ?? []) {
      needed.add(container)
      const { files } = JSON.parse(readFileSync(objectAt(home, container), 'utf8')) as {
        readonly files: readonly Listed[]
      }
      for (const { sha256, mode } of [...files.filter(({ type }) => type === 'file'), ...settings])
        if (sha256 !== undefined) needed.add(`${sha256}${(mode & 0o111) === 0 ? '' : '.x'}`)
      for (const { secret } of settings) if (secret !== undefined) secrets.add(secret).add(`${secret}.json`)
    }
  const objects = readdirSync(join(home, 'objects')).flatMap(fanOut =>
    readdirSync(join(home, 'objects', fanOut)).map(rest => fanOut + rest),
  )
  return [
    ...objects
      .filter(object => !needed.has(object) && !isHeld(objectAt(home, object)))
      .map(object => `objects: ${object} is left`),
    ...readdirSync(join(home, 'secrets'))
      .filter(name => !secrets.has(name) && !isHeld(join(home, 'secrets', name.replace('.json', ''))))
      .map(name => `secrets: ${name} is left`),
    ...['tmp', 'quarantine'].flatMap(name => readdirSync(join(home, name)).map(left => `${name}: ${left} is left`)),
  ]
}

/** By a view. */
function isHeld(path: string): boolean {
  return (lstatSync(path, { throwIfNoEntry: false })?.nlink ?? 0) > 1
}

interface Listed {
  readonly type: string
  readonly sha256: string
  readonly mode: number
}

function objectAt(home: string, object: string): string {
  return join(home, 'objects', object.slice(0, 2), object.slice(2))
}
