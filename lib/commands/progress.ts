import type { Progress } from '../upkeep/verify.js'
import { human } from './report.js'

const EVERY_MS = 100

/** A line on stderr that is written over; only where somebody may see it. */
export function progressLine(): { readonly show: (progress: Progress) => void; readonly clear: () => void } {
  if (!process.stderr.isTTY) return { show: () => {}, clear: () => {} }
  const began = performance.now()
  let shownAt = 0
  return {
    show: ({ objects, bytes, ofObjects, ofBytes }) => {
      const now = performance.now()
      if (now - shownAt < EVERY_MS) return
      shownAt = now
      const rate = human((bytes / (now - began)) * 1000)
      const share = ofBytes === 0 ? 100 : Math.floor((bytes / ofBytes) * 100)
      process.stderr.write(`\r\x1b[K${share} %: ${objects} of ${ofObjects} objects, ${rate}/s`)
    },
    clear: () => {
      if (shownAt > 0) process.stderr.write('\r\x1b[K')
    },
  }
}
