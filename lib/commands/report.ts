import { AppcError, type ErrorCode } from '../errors.js'
import { asUnreadable } from '../loader/unreadable.js'

/** Codes that are an answer (1) or a matter of the command line (2); everything else is appc's own failure (125). */
const STATUS: Partial<Record<ErrorCode, number>> = {
  ELF_NOT: 1,
  ELF_MALFORMED: 1,
  ELF_FOREIGN: 1,
  LOADER_UNKNOWN: 1,
  CACHE_MALFORMED: 1,
  FILE_MISSING: 1,
  FILE_UNREADABLE: 1,
  CONTAINER_UNKNOWN: 1,
  CONTAINER_EXISTS: 1,
  CONTAINER_IN_USE: 1,
  CONTAINER_NOT_RUNNING: 1,
  CONTAINER_AMBIGUOUS: 1,
  GENERATION_UNKNOWN: 1,
  SETTING_INVALID: 1,
  SETTING_CHANGED: 1,
  SETTING_UNKNOWN: 1,
  ENTRY_UNKNOWN: 1,
  ENTRY_INVALID: 1,
  LIBRARY_MISSING: 1,
  PACKAGE_DATABASE: 1,
  MANIFEST_INVALID: 1,
  POLICY_INVALID: 1,
  STORE_CORRUPT: 1,
  PLAN_IMPOSSIBLE: 1,
  INVENTORY_INVALID: 2,
  ROOT_INVALID: 2,
  NAME_INVALID: 2,
  USAGE: 2,
}

/** Says on stderr what went wrong and returns the exit status of it. */
export function reportError(program: string, error: unknown, json: boolean): number {
  const known = asKnown(error)
  process.stderr.write(json ? `${asJson(known)}\n` : asText(program, known))
  return STATUS[known.code] ?? 125
}

/**
 * `appc: MESSAGE: CAUSE`, an empty line, `hint: …`. Only hints have several lines, which are appc's own words: message and cause hold
 * names, and a file's name must not look like a hint.
 */
export function asText(program: string, error: AppcError): string {
  const because = error.because === null ? '' : `: ${causeOf(error.code, error.because)}`
  const hint = error.hint === null ? '' : `\nhint: ${visibleLines(error.hint.split('\n'))}\n`
  return `${program}: ${visible(error.message)}${because}\n${hint}`
}

/** A bug's stack is easier to read in its lines. */
function causeOf(code: ErrorCode, because: string): string {
  return code === 'INTERNAL' ? visibleLines(because.split(/\n(?= {4}at )/)) : visible(because)
}

/** The same keys as native/launcher/report.cpp has. */
export function asJson(error: AppcError): string {
  const { code, message, because, hint, step, path, errno } = error
  return JSON.stringify({ schema: 'appc.error/1', code, message, cause: because, hint, step, path, errno })
}

/**
 * Any error as one of appc's own. Trees are read in many places, each of which may meet a link in a circle or a closed directory: that
 * is put into words here once, where else it would pass for a bug.
 */
export function asKnown(error: unknown): AppcError {
  return error instanceof AppcError ? error : (asUnreadable(error) ?? unexpected(error))
}

function unexpected(error: unknown): AppcError {
  const because = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return new AppcError('INTERNAL', 'this should not happen', {
    because,
    hint: 'please report it with this text',
    cause: error,
  })
}

/**
 * Control characters as escapes: what a container says of itself must not steer the terminal (CVE-2023-28101 of Flatpak), and with a
 * newline it would speak as appc. So too those that turn the direction of writing.
 */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, c => {
    const code = c.codePointAt(0) as number
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
  })
}

/** Lines that appc itself ends, each of them visible. */
export function visibleLines(lines: readonly string[]): string {
  return lines.map(visible).join('\n')
}

/** Text of a file, line by line, with its tabs. */
export function visibleText(text: string): string {
  return text
    .split('\n')
    .map(line => line.split('\t').map(visible).join('\t'))
    .join('\n')
}

/**
 * What becomes of output that cannot be written. A reader that has seen enough (`| head`) is no error; anything else is told once, as
 * the answer did not arrive. Where stderr cannot be written there is nobody to tell, and the exit status has to do.
 */
export function watchOutput(program: string, json: boolean): void {
  process.stderr.on('error', () => {})
  let told = false
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exitCode ??= 0
    else if (!told) {
      told = true
      const status = reportError(program, unwritable(error), json)
      // At the very end: the command is still under way, and will set the status of what it has done.
      process.once('exit', () => {
        process.exitCode = status
      })
    }
  })
}

function unwritable(error: NodeJS.ErrnoException): AppcError {
  return new AppcError('OUTPUT_UNWRITABLE', 'standard output cannot be written', {
    because: error.message,
    hint: error.code === 'ENOSPC' ? 'free some space where it goes to' : 'see where it is redirected to',
    cause: error,
  })
}

/** Bytes for people: 512 B, 1.4 MB. */
export function human(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}
