import { spawnSync } from 'node:child_process'
import t from 'tap'
import { AppcHome } from '../support/appc-home.js'
import { APPC } from '../support/node.js'

const place = new AppcHome()
t.teardown(place.remove)
const { appc, pack } = place
const ADDS = { EDITOR: "sed -i '$a added'", VISUAL: '' }

t.match(pack('app', 'program'), { status: 0 })

t.test('edit begins with what is there, and has the editor’s word', async t => {
  const edit = (env: Readonly<Record<string, string>>) =>
    appc(['settings', 'app', 'edit', '/etc/os-release'], { VISUAL: '', ...env })
  t.match(edit(ADDS), { status: 0, stdout: 'app has generation 2 now\n' })
  t.match(appc(['settings', 'app', 'show', '/etc/os-release']), { stdout: /\n\+added\n/ })
  t.match(edit({ EDITOR: 'true' }), { stdout: 'app is set up so already\n' })
  t.match(edit({ EDITOR: 'echo lost >"$1"; false' }), { status: 2, stderr: /did not finish/ })
  t.match(appc(['generations', 'app']).stdout.split('\n'), { length: 4 }, 'a headline and two')
})

t.test('the host’s file in a closed directory', async t => {
  t.match(editInClosed('/opt/one'), { status: 0, stdout: /kept secret/ })
  t.match(editInClosed('/opt/two', '--public'), { status: 0, stdout: 'app has generation 4 now\n' })
})

/** On a host whose /opt only its owner may enter. */
function editInClosed(path: string, ...options: string[]) {
  const script = 'umask 022; mount -t tmpfs -o mode=700 none /opt && echo hidden >"$0" && exec "$@"'
  const command = [...APPC, 'settings', 'app', 'edit', path, ...options]
  return spawnSync('unshare', ['--map-root-user', '--mount', 'sh', '-c', script, path, ...command], {
    encoding: 'utf8',
    env: place.environment(ADDS),
  })
}
