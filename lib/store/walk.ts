import { readdirSync } from 'node:fs'

/**
 * All that lies below a directory, each directory before what is in it. Bytes: no file system asks names to be UTF-8, and what is not
 * would come back from a string as another name.
 */
export function* walk(directory: Buffer): Generator<Buffer> {
  for (const entry of readdirSync(directory, { withFileTypes: true, encoding: 'buffer' })) {
    const path = joinBytes(directory, entry.name)
    yield path
    if (entry.isDirectory()) yield* walk(path)
  }
}

/** What is neither one of the paths, nor below one, nor a directory on the way to one; as paths from the top, which begin with a slash. */
export function outside(top: Buffer, paths: readonly string[]): readonly Buffer[] {
  const inside = paths.map(path => Buffer.from(path))
  return outsideIn(top, Buffer.alloc(0), inside)
}

function outsideIn(top: Buffer, directory: Buffer, inside: readonly Buffer[]): readonly Buffer[] {
  const entries = readdirSync(joinBytes(top, directory), { withFileTypes: true, encoding: 'buffer' })
  return entries.flatMap(entry => {
    const path = joinBytes(directory, entry.name)
    if (inside.some(one => isOrBelow(path, one))) return []
    if (entry.isDirectory() && inside.some(one => isOrBelow(one, path))) return outsideIn(top, path, inside)
    return [path]
  })
}

function isOrBelow(path: Buffer, top: Buffer): boolean {
  return path.equals(top) || path.subarray(0, top.length + 1).equals(joinBytes(top, Buffer.alloc(0)))
}

export function joinBytes(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, Buffer.from('/'), name])
}
