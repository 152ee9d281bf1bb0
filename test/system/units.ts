import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { temporaryDirectory } from '../support/fixtures.js'

const project = fileURLToPath(new URL('../../..', import.meta.url))
const units = readdirSync(join(project, 'systemd'))

function copied(): string {
  const directory = temporaryDirectory()
  cpSync(join(project, 'systemd'), directory, { recursive: true })
  return directory
}

/** What systemd says of the units in a directory; nothing when it has nothing to say. */
function verified(directory: string): string {
  const paths = readdirSync(directory).map(name => join(directory, name))
  const { stdout, stderr, error } = spawnSync('systemd-analyze', ['verify', '--man=no', ...paths], { encoding: 'utf8' })
  if (error !== undefined) throw error
  return stdout + stderr
}

t.test('systemd understands the units', t => {
  t.same(units.sort(), ['appc-scrub.service', 'appc-scrub.timer', 'appc-watch.service'])
  t.equal(verified(copied()), '')
  t.end()
})

t.test('and says so when it does not', t => {
  for (const [unit, change] of [
    ['appc-watch.service', (text: string) => text.replace('ProtectSystem=', 'ProtectedSystem=')],
    ['appc-watch.service', (text: string) => text.replace('fanotify_init', 'fanotify_open')],
    ['appc-scrub.timer', (text: string) => text.replace('weekly', 'weakly')],
    ['appc-scrub.service', (text: string) => text.replace('/bin/sh', '/bin/none')],
  ] as const) {
    const directory = copied()
    const path = join(directory, unit)
    const text = readFileSync(path, 'utf8')
    t.not(change(text), text)
    writeFileSync(path, change(text))
    t.match(verified(directory), unit)
  }
  t.end()
})

t.test('they are in the package', t => {
  const { files } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'))
  t.ok(files.includes('systemd'))
  t.end()
})
