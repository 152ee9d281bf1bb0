import { fileURLToPath } from 'node:url'

/** The launcher of this installation. Programs are bundled as deep below it as this file is compiled to (scripts/build). */
export const launcherPath: string = fileURLToPath(new URL('../../../build/Release/appc-run', import.meta.url))
