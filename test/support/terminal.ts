import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import type { User } from '../native/fixture.js'

/**
 * Runs a command on a terminal of its own and does the steps: waits until what was shown matches, then types. Shows all, and the
 * status as of Python's os.waitstatus_to_exitcode; a step that waits for nothing in 10 s ends it. Ctrl-C and the like drop nothing: else
 * what is written just before, and also just after, might never be shown (the kernel's isig() sends the signal, then flushes).
 */
const DRIVER = `
import fcntl, json, os, pty, re, select, struct, sys, termios, time
steps = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
  settings = termios.tcgetattr(0)
  settings[3] |= termios.NOFLSH
  termios.tcsetattr(0, termios.TCSANOW, settings)
  os.execv(sys.argv[2], sys.argv[2:])
shown, seen, deadline = b'', 0, 0
def more(end):
  global shown
  if not select.select([terminal], [], [], max(0, end - time.monotonic()))[0]: return False
  try: data = os.read(terminal, 65536)
  except OSError: data = b''
  shown += data
  return data != b''
def text(): return shown.decode('utf8', 'replace').replace('\\r', '')
failed = None
for step in steps:
  end = time.monotonic() + 10
  while not re.search(step['wait'], text()[seen:], re.M):
    if not more(end): failed = step['wait']; break
  if failed is not None: break
  seen += re.search(step['wait'], text()[seen:], re.M).end()
  while 'toJob' in step and os.tcgetpgrp(terminal) == pid and time.monotonic() < end: time.sleep(0.002)
  if 'size' in step: fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('4H', *step['size'], 0, 0))
  if 'type' in step: os.write(terminal, step['type'].encode())
  if 'hangUp' in step: os.close(terminal)
hungUp = any('hangUp' in step for step in steps)
if failed is None and not hungUp:
  while more(time.monotonic() + 20): pass
if failed is not None:
  os.killpg(os.tcgetpgrp(terminal), 9)
  os.close(terminal)
  os.kill(pid, 9)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
json.dump({'shown': text(), 'status': status, 'missing': failed}, sys.stdout)
`

export interface Step {
  /** A regular expression (Python's), for what is shown after the last match. */
  readonly wait: string
  readonly type?: string
  /** Only when a job of the shell has the terminal, which the shell tells before it is so. */
  readonly toJob?: true
  /** Rows and columns. */
  readonly size?: readonly [number, number]
  /** The window is closed. */
  readonly hangUp?: true
}

export interface Shown {
  /** Without carriage returns. */
  readonly shown: string
  readonly status: number
  /** What was waited for in vain. */
  readonly missing: string | null
}

export async function onTerminal(
  user: User,
  env: NodeJS.ProcessEnv,
  steps: readonly Step[],
  command: readonly string[],
  cwd = '/',
): Promise<Shown> {
  const child = spawn('/usr/bin/python3', ['-c', DRIVER, JSON.stringify(steps), ...command], {
    uid: user.uid,
    gid: user.gid,
    cwd,
    env: { TERM: 'dumb', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return JSON.parse(await text(child.stdout))
}
