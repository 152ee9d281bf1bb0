import type { Random } from './random.js'

const PIECES = [
  ...[
    '\0',
    '\0',
    '/',
    '/lib/',
    '/lib/\0',
    '/usr/lib/x86_64-linux-gnu/\0',
    'lib',
    '/a/',
    '\0LIB\0lib',
    '\0LIB\0',
    'lib.+-_',
  ],
  ...['musl libc', '\0musl libc', '%.*s/etc/ld-musl-', '%.*s/etc/ld-musl-x86_64.path\0', '.path', '/etc/'],
  ...['stable release version ', 'stable release version 2.36', 'development release version 9', '2', '.', '99999999'],
]

/** A file that passes for an ELF file and otherwise holds garbage of the strings that loaders are told by; seldom a lot of it. */
export function hostileLoader(random: Random, scratch: Buffer): Buffer {
  const size = random.once(100) ? scratch.length : random.pick([256, 1024, 4096])
  const bytes = scratch.subarray(0, size)
  bytes.fill(0, 0, 64)
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  bytes.writeUInt16LE(62, 18)
  const few = Array.from({ length: 1 + random.below(5) }, () => random.pick(PIECES))
  // One piece many times over is what makes an expression go back and forth.
  const often = random.pick(PIECES)
  for (let at = 64; at < size; )
    at += Math.max(1, bytes.write(random.once(20) ? random.pick(few) : often, at, 'latin1'))
  return bytes
}
