import * as v from 'valibot'
import { AppcError } from '../errors.js'

/** As many as a plan holds (lib/plan/layout.ts). */
const MAX_NEEDS = 64

const WORDS = [
  'tmp',
  'home',
  'run',
  'dev',
  'pid',
  'ipc',
  'uts',
  'net',
  'session',
  'wayland',
  'x11',
  'pulse',
  'gpu',
] as const

/** A name of the D-Bus specification, or all below one (`org.example.*`). */
const BUS_NAME = /^dbus=[A-Za-z_-][A-Za-z0-9_.-]*(?<=\.)\*$|^dbus=[A-Za-z_-][A-Za-z0-9_.-]*$/

const PATH = /^r[ow]=(\/|~$|~\/)/

/**
 * What the programs of a container need of the host when they are confined: the words of `appc-run --allow`, as the launcher
 * understands them (native/launcher/confine.cpp). Paths are absolute or begin with `~/`: where a program is started must not decide.
 */
export const needsSchema = v.pipe(
  v.array(v.pipe(v.string(), v.maxLength(4095), v.check(isNeed, 'is nothing that a program can need'))),
  v.minLength(1),
  v.maxLength(MAX_NEEDS),
)

function isNeed(word: string): boolean {
  if (word.includes('\0')) return false
  return (WORDS as readonly string[]).includes(word) || PATH.test(word) || (BUS_NAME.test(word) && word.length <= 260)
}

/** Throws USAGE for what is none. The same twice is one. */
export function parseNeeds(words: readonly string[]): readonly string[] {
  const wrong = words.find(word => !isNeed(word))
  if (wrong !== undefined) {
    throw new AppcError('USAGE', `${JSON.stringify(wrong)} is nothing that a program can need`, {
      hint: `write one of ${WORDS.join(', ')}, dbus=NAME, ro=PATH or rw=PATH with a path that begins with / or ~/`,
    })
  }
  const needs = [...new Set(words)]
  if (needs.length <= MAX_NEEDS) return needs
  throw new AppcError('USAGE', `a container cannot have more than ${MAX_NEEDS} needs`)
}
