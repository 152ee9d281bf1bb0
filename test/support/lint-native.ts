import { readdirSync, readFileSync } from 'node:fs'
import { lintCalls } from './native-calls.js'

/* What scripts/check runs of native-calls.ts: on all of native/, before anything is built. */
for (const path of readdirSync('native', { recursive: true, encoding: 'utf8' }).sort()) {
  if (!/\.(cpp|h)$/.test(path)) continue
  for (const { line, message } of lintCalls(path, readFileSync(`native/${path}`, 'utf8'))) {
    process.stdout.write(`native/${path}:${line}: ${message}\n`)
    process.exitCode = 1
  }
}
