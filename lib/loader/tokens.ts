/** What the dynamic string tokens stand for; `origin` null where it is not known or not allowed. */
export interface TokenValues {
  readonly origin: string | null
  /** $ORIGIN may only stand first and for a whole component, as in programs with more rights than their caller's. */
  readonly originFirst: boolean
  readonly platform: string
  readonly lib: string
}

/** A known token, by glibc's is_dst (elf/dl-load.c): `$ORIGINX` and `${LIB` are no tokens but plain text. */
const TOKEN = /\$(?:\{(ORIGIN|PLATFORM|LIB)\}|(ORIGIN|PLATFORM|LIB)(?![A-Za-z0-9_]))/g

/** The text with its tokens replaced; null where one cannot be, which voids the whole path element. */
export function expandTokens(text: string, values: TokenValues): string | null {
  if (!text.includes('$')) return text
  let known = true
  const expanded = text.replace(TOKEN, (token, braced: string | undefined, plain: string | undefined, at: number) => {
    const name = braced ?? plain
    if (name === 'PLATFORM') return values.platform
    if (name === 'LIB') return values.lib
    known &&= values.origin !== null && (!values.originFirst || (at === 0 && /^(\/|$)/.test(text.slice(token.length))))
    return values.origin ?? ''
  })
  return known ? expanded : null
}

export function hasTokens(text: string): boolean {
  return text.includes('$') && text.search(TOKEN) !== -1
}

export function startsWithOrigin(text: string): boolean {
  return /^\$(?:\{ORIGIN\}|ORIGIN(?![A-Za-z0-9_]))/.test(text)
}
