import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'

/**
 * A compiled program of the tests, three directories below the checkout, as one file in `directory`, like appc itself: for tests that
 * start it a hundred times, which so takes half as long.
 */
export function bundled(program: URL, directory: string): string {
  const outfile = join(directory, 'program.cjs')
  buildSync({
    entryPoints: [fileURLToPath(program)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20.17',
    define: { 'import.meta.url': JSON.stringify(program.href) },
  })
  return outfile
}
