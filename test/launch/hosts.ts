import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { describeHost } from '../../lib/launch/describe-host.js'
import { hostNamed, hostOfFile } from '../../lib/launch/hosts.js'
import { takeStockOf } from '../../lib/launch/stock.js'
import { newStore, tree } from '../decide/scenario.js'

const store = newStore()
const root = tree({ '/etc/os-release': 'ID=made\nPRETTY_NAME="Made Up 1"\n' })
const directory = t.testdir({})
const file = join(directory, 'host.json')
writeFileSync(file, JSON.stringify(describeHost(store, root)))

t.test('a file: its system, and the digest of the inventory', async t => {
  const { os, digest } = hostOfFile(file)
  t.equal(os, 'Made Up 1')
  t.equal(digest, takeStockOf(store, root).digest)
})

t.test('a pipe will do', async t => {
  const pipe = join(directory, 'pipe')
  execFileSync('mkfifo', [pipe])
  execFileSync('sh', ['-c', `cat '${file}' >'${pipe}' &`], { stdio: 'ignore' })
  t.equal(hostOfFile(pipe).os, 'Made Up 1')
})

t.test('a word is a directory or a file; both are seen without this user', async t => {
  t.same(hostNamed(store, root).host.context, hostNamed(store, file).host.context)
  t.equal(hostNamed(store, root).os, 'Made Up 1')
})

t.test('what is not there, or none', async t => {
  t.throws(() => hostOfFile(join(directory, 'nothing')), { code: 'FILE_MISSING' })
  t.throws(() => hostOfFile(directory), { code: 'FILE_UNREADABLE' })
  writeFileSync(join(directory, 'text'), 'text')
  t.throws(() => hostOfFile(join(directory, 'text')), { code: 'INVENTORY_INVALID' })
})
