import { readFileSync } from 'node:fs'
import { REPLACEMENT } from '../loader/unreadable.js'

/**
 * Whether bytes of the command line were lost when it was decoded. REPLACEMENT may have been typed, too: the bytes tell, as the kernel still
 * has them: proc_pid_cmdline(5).
 */
export function isUndecodable(word: string): boolean {
  if (!word.includes(REPLACEMENT)) return false
  // As of --env=WORD.
  return argumentsAsBytes().some(
    bytes => bytes.toString().endsWith(word) && !bytes.equals(Buffer.from(bytes.toString())),
  )
}

function argumentsAsBytes(): readonly Buffer[] {
  const line = readFileSync('/proc/self/cmdline')
  const words: Buffer[] = []
  for (let at = 0; at < line.length; at += (words.at(-1)?.length ?? 0) + 1) {
    const end = line.indexOf(0, at)
    words.push(line.subarray(at, end < 0 ? line.length : end))
  }
  return words
}
