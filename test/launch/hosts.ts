import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { decide } from '../../lib/decide/decide.js'
import { AppcError } from '../../lib/errors.js'
import { describeHost } from '../../lib/launch/describe-host.js'
import { hostNamed, hostOfFile } from '../../lib/launch/hosts.js'
import { factsOf } from '../../lib/launch/remembered-facts.js'
import { takeStockOf } from '../../lib/launch/stock.js'
import { newStore, openIn, packInto, program, tree } from '../decide/scenario.js'

const store = newStore()
const root = tree({ '/etc/os-release': 'ID=made\nPRETTY_NAME="Made Up 1"\n' })
const directory = t.testdir({})
const named = (word: string) => hostNamed(store, factsOf(store), word)
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
  t.same(named(root).host.context, named(file).host.context)
  t.equal(named(root).os, 'Made Up 1')
})

t.test('what is not there, or none', async t => {
  for (const path of [join(directory, 'nothing'), directory, ''])
    t.throws(() => hostOfFile(path), { code: 'INVENTORY_INVALID' }, path)
  writeFileSync(join(directory, 'text'), 'text')
  t.throws(() => hostOfFile(join(directory, 'text')), { code: 'INVENTORY_INVALID' })
})

t.test('what a file lacks is told of the file', async t => {
  const whole = JSON.parse(readFileSync(file, 'utf8'))
  const elf = (change: object) => whole.elf.map((row: object) => ({ ...row, ...change }))
  const { manifest } = packInto(store, tree({ '/usr/bin/app': program('int main(void) { return 0; }') }))
  for (const [what, damaged] of Object.entries({
    'no bytes': { ...whole, contents: [] },
    'bytes of some': { ...whole, contents: whole.contents.slice(1) },
    'no parts': { ...whole, contents: whole.contents.map((row: object) => ({ ...row, parts: [] })) },
    'symbols that could not be read': { ...whole, elf: elf({ symbols: 'bad' }) },
    'no facts': { ...whole, elf: elf({ facts: null }) },
    'facts twice': { ...whole, elf: [...whole.elf, ...whole.elf] },
    'bytes twice': { ...whole, contents: [...whole.contents, ...whole.contents] },
  })) {
    writeFileSync(join(directory, 'damaged'), JSON.stringify(damaged))
    const deciding = () => {
      const { host, within } = hostOfFile(join(directory, 'damaged'))
      return within(() => decide(manifest, host, openIn(store)))
    }
    t.throws(deciding, { code: 'INVENTORY_INVALID', hint: /appc inventory --complete/ }, what)
  }
})

t.test('what a directory lacks is told of the directory', async t => {
  const damaged = tree({ '/var/lib/dpkg/status': 'Package\n' })
  t.throws(() => named(damaged), { code: 'PACKAGE_DATABASE' })
  const other = named(root)
  t.throws(
    () =>
      other.within(() => {
        throw new AppcError('PACKAGE_DATABASE', 'one of its lists is damaged')
      }),
    { code: 'PACKAGE_DATABASE' },
  )
})
