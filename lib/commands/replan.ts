#!/usr/bin/env node
import { isUtf8 } from 'node:buffer'
import { closeSync, writeSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { AppcError, type ErrorCode } from '../errors.js'
import {
  addon,
  inheritedDescriptors,
  isSecondRound,
  originalEnvironment,
  rawArguments,
  restoreEnvironment,
} from '../launch/addon.js'
import { hostFor } from '../launch/machine.js'
import { openStoreAt, systemStore } from '../launch/open-store.js'
import { type OpenHost, prepareContainer, prepareProgram } from '../launch/prepare.js'
import { factsOf } from '../launch/remembered-facts.js'
import { findRunning } from '../launch/running.js'
import { PATIENCE, stop } from '../launch/stop.js'
import { bringUpToDate } from '../launch/up-to-date.js'
import { asJson, asKnown, asText } from './report.js'

/**
 * What the launcher starts when it has no plan, or one that no longer holds: plans anew and gives way to the launcher again, in
 * the same process, so that signals, terminal and exit status stay the program's. Arguments as in docs/formats.md, "Planning
 * anew"; they come from the launcher alone, never from a person.
 */
async function main(values: Request): Promise<void> {
  const { key, store: home, kind, subject, root, exe } = values
  if (!key || !home || !kind || !subject || !exe)
    throw new AppcError('INTERNAL', 'the launcher gave no complete request')
  const { before, after } = rawArguments()
  requireUtf8(before)
  restoreEnvironment()
  const store = openStoreAt(home)
  const destination = { store, key, root: root ?? null }
  const facts = factsOf(store)
  const host: OpenHost = (of, looks) => hostFor(of, root ?? '/', process.env, facts, looks)
  const system = systemStore(process.env)
  const plan = () =>
    bringUpToDate(destination, system, isSecondRound(), () => {
      if (kind === 'container') prepareContainer(destination, system, subject, host)
      else prepareProgram(destination, subject, values.lib ?? [], host)
    })
  let links = plan()
  facts.save()
  const running = values.replace ? findRunning(store).filter(({ name }) => name === subject) : []
  if (running.length > 0) {
    // What runs is ended only when there is a plan for what is to come after it; and others are not kept waiting for it.
    closeSync(links)
    await stop(store, running, PATIENCE)
    links = plan()
  }
  addon().execve(exe, after, originalEnvironment(links), [...inheritedDescriptors(), links])
}

type Request = ReturnType<typeof parseRequest>

function parseRequest() {
  return parseArgs({
    options: {
      key: { type: 'string' },
      store: { type: 'string' },
      kind: { type: 'string' },
      subject: { type: 'string' },
      entry: { type: 'string' },
      root: { type: 'string' },
      lib: { type: 'string', multiple: true },
      replace: { type: 'boolean' },
      'error-fd': { type: 'string' },
      exe: { type: 'string' },
    },
    allowPositionals: true,
  }).values
}

/**
 * Node has decoded the options, and of a path that is not UTF-8 made another one, which would be said to be missing. An entry is not
 * looked at here.
 */
function requireUtf8(given: readonly Buffer[]): void {
  const lost = given.find(argument => !isUtf8(argument) && !argument.toString().startsWith('--entry='))
  if (lost === undefined) return
  const path = lost.toString('latin1').replace(/^--[a-z]+=/, '')
  const shown = path.replace(/[\x80-\xff]/g, c => `\\x${c.charCodeAt(0).toString(16)}`)
  throw new AppcError('FILE_UNREADABLE', `${shown} cannot be used`, {
    because: 'the path is not UTF-8',
    hint: 'rename the file or directory whose name it is',
  })
}

/** What is wrong with a program itself: 126, as a shell has it. Everything else is appc's own failure, 125. */
const NOT_EXECUTABLE: readonly ErrorCode[] = [
  'ENTRY_INVALID',
  'ELF_NOT',
  'ELF_MALFORMED',
  'ELF_FOREIGN',
  'FILE_MISSING',
]

const request = parseRequest()
main(request).catch(error => {
  const known = asKnown(error)
  process.exitCode = NOT_EXECUTABLE.includes(known.code) ? 126 : 125
  tell(known, request['error-fd'])
})

/** As the launcher does (native/launcher/report.cpp). Without Node's streams, which would change the descriptor. */
function tell(error: AppcError, descriptor: string | undefined): void {
  try {
    if (descriptor === undefined) writeSync(2, asText('appc-run', error))
    else writeSync(Number(descriptor), `${asJson(error)}\n`)
  } catch {
    // There is nobody to tell, and the exit status has to do.
  }
}
