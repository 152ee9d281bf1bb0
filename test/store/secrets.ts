import { readFileSync } from 'node:fs'
import t from 'tap'
import { changeSettings } from '../../lib/container/change.js'
import { readContainer } from '../../lib/container/containers.js'
import { readSetting, takeSetting } from '../../lib/container/setting-files.js'
import { isSecret, withFile } from '../../lib/container/settings.js'
import { isSoundSecret, secretFactsPath } from '../../lib/store/secrets.js'
import { newStore, packInto, program, tree } from '../decide/scenario.js'

t.test('what a secret is to be does not tell what it is, and a long one can be read', async t => {
  const store = newStore()
  packInto(store, tree({ '/usr/bin/app': program('int main(void) { return 0; }') }), ['app'], 'app')
  const bytes = Buffer.alloc(100_000, 'x')
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0]
  changeSettings(store, 'app', 'settings', (settings, writer) =>
    withFile(settings, takeSetting(writer, '/etc/key', { bytes, mode: 0o600, uid, gid })),
  )
  const [file] = readContainer(store, 'app').settings.files
  if (file === undefined || !isSecret(file)) throw new Error('a secret')
  const facts = JSON.parse(readFileSync(secretFactsPath(store, file.secret), 'utf8'))
  t.match(facts, { mode: 0o600, uid, gid, size: bytes.length })
  t.same(Object.keys(facts).sort(), ['gid', 'mode', 'sha256', 'size', 'uid'])
  t.ok(isSoundSecret(store, file.secret))
  t.same(readSetting(store, file), bytes)
})
