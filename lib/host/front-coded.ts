import type { FrontCoded } from './described.js'

/** Strings by number, sorted, so that those that begin alike stand together. */
export function frontCode(strings: readonly string[]): FrontCoded {
  const shared: number[] = []
  const rest: string[] = []
  let before = ''
  for (const text of strings) {
    let same = 0
    while (same < text.length && text.charCodeAt(same) === before.charCodeAt(same)) same++
    shared.push(same)
    rest.push(text.slice(same))
    before = text
  }
  return { shared, rest }
}

/** Of the names of all symbols of a large system there are some 20 MB: what comes to more was made to fill the memory. */
const MAX_LENGTH = 1 << 27
const MAX_STRING = 65_536

/** null for what does not come to strings, or to too many. */
export function frontDecode({ shared, rest }: FrontCoded): readonly string[] | null {
  if (shared.length !== rest.length) return null
  const strings: string[] = []
  let [before, total] = ['', 0]
  for (const [index, own] of rest.entries()) {
    const same = shared[index] as number
    total += same + own.length
    if (same > before.length || same + own.length > MAX_STRING || total > MAX_LENGTH) return null
    before = before.slice(0, same) + own
    strings.push(before)
  }
  return strings
}
