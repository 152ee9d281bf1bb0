import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { listProcesses, namespaceOf, readIds, readProcess } from '../../lib/launch/processes.js'
import { temporaryDirectory } from '../support/fixtures.js'

t.test('a process is told by its id and its start, whatever its name is', async t => {
  const odd = join(temporaryDirectory(), ') Z 1 (')
  copyFileSync('/bin/sh', odd)
  const child = spawn('sh', ['-c', 'exec "$0" -c "echo ready; read x"', odd], { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  const pid = child.pid as number
  const found = readProcess(pid)
  t.match(found, { pid, parent: process.pid })
  t.same(
    listProcesses().find(other => other.pid === pid),
    found,
  )
  const uid = process.getuid?.()
  t.same(readIds(pid), { uids: [uid, uid, uid, uid], pids: [pid] })
  t.equal(namespaceOf(pid, 'mnt'), namespaceOf('self', 'mnt'))
  child.stdin.end()
  await once(child, 'exit')
  t.equal(readProcess(pid), null)
  t.equal(readIds(pid), null)
  t.equal(namespaceOf(pid, 'mnt'), null)
})

t.test('one that has ended, and was not waited for, is none', async t => {
  const script = `
import os, sys
child = os.fork()
if child == 0: os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
print(child, flush=True)
sys.stdin.read()`
  const parent = spawn('/usr/bin/python3', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const zombie = Number(String((await once(parent.stdout, 'data'))[0]))
  t.equal(readProcess(zombie), null)
  parent.stdin.end()
  await once(parent, 'exit')
})

t.test('oldest first', async t => {
  const starts = listProcesses().map(({ started }) => started)
  t.same(
    starts,
    [...starts].sort((a, b) => Number(a - b)),
  )
})
