/** How coarse the kernel's file times are: they are those of the last timer tick (current_time in fs/inode.c). */
export const TICK_NS = 20_000_000n

interface Changed {
  readonly ctimeNs: bigint
}

/**
 * Waits until a change of any of these files would show in its change time. Whoever notes identities, waits, and looks at what the files
 * hold then has looked at what the identities stand for: what is changed before the look is seen by it, what is changed after it has
 * another time.
 */
export function untilSettled(files: Iterable<Changed>): void {
  const now = BigInt(Date.now()) * 1_000_000n
  let longest = 0n
  for (const { ctimeNs } of files) {
    const left = ctimeNs + TICK_NS - now
    // A clock that was set back since can be waited for in vain; then its times do not come again so soon either.
    if (left > longest && left <= 2n * TICK_NS) longest = left
  }
  if (longest > 0n) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(longest / 1_000_000n) + 1)
}
