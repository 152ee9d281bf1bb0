import { fileURLToPath } from 'node:url'

/** Before arguments of appc's: the program as it is installed. */
export const APPC = [process.execPath, fileURLToPath(new URL('../../bin/appc/cli.js', import.meta.url))] as const
