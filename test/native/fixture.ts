import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { release, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { addon } from '../../lib/launch/addon.js'
import { encodePlan, planKey } from '../../lib/plan/file.js'
import type { Guard, OverlayMount, Plan } from '../../lib/plan/types.js'

const builtLauncher = fileURLToPath(new URL('../../../build/Release/appc-run', import.meta.url))

/** What the installation's Node exits with: nothing else does. */
export const coldStatus = 99

/** Who launches. */
export interface User {
  readonly uid: number
  readonly gid: number
}
/** Root launches as root and as a user without privileges and without a name; anybody else as himself. */
export const users: readonly (readonly [string, User])[] =
  process.geteuid?.() === 0
    ? [
        ['root', { uid: 0, gid: 0 }],
        ['an unprivileged user', { uid: 54321, gid: 54321 }],
      ]
    : [['the user', { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }]]

/** Paths with directories and files (a string) or null to remove nothing; null makes an empty directory. */
export function makeTree(at: string, entries: Readonly<Record<string, string | null>>): void {
  for (const [name, content] of Object.entries(entries)) {
    const path = join(at, name)
    mkdirSync(content === null ? path : dirname(path), { recursive: true })
    if (content !== null) writeFileSync(path, content, { mode: 0o755 })
  }
}

/** A store with plans, and an installation whose Node only tells how it was called. */
export class Sandbox {
  readonly directory = realpathSync(mkdtempSync(join(tmpdir(), 'appc-native-')))
  readonly store = join(this.directory, 'store')
  readonly installation = join(this.directory, 'installation')
  readonly launcher = join(this.installation, 'build/Release/appc-run')
  readonly user: User

  constructor(user: User) {
    this.user = user
    chmodSync(this.directory, 0o755)
    mkdirSync(join(this.store, 'plans'), { recursive: true })
    makeTree(this.installation, {
      'dist/bin/appc/replan.js': '',
      'build/Release': null,
      'bin/node': `#!/bin/sh\nprintf '%s\\n' "$APPC_REPLANNED" "$@"\nexit ${coldStatus}\n`,
    })
    copyFileSync(builtLauncher, this.launcher)
    mkdirSync(join(this.store, 'cache'))
    chownSync(join(this.store, 'cache'), user.uid, user.gid)
    // As every launch but the first after a boot, the tests' find word of the host.
    this.run(['--info', 'none'])
  }

  remove(): void {
    rmSync(this.directory, { recursive: true })
  }

  path(...names: string[]): string {
    return join(this.directory, ...names)
  }

  /** A host directory and a layer for it. */
  overlay(name: string, host: Record<string, string | null>, layer: Record<string, string | null>): OverlayMount {
    const target = this.path(`${name}-host`)
    const layerPath = this.path(`${name}-layer`)
    makeTree(target, { '.': null, ...host })
    makeTree(layerPath, { '.appc-host': null, ...layer })
    return { target, layer: layerPath, carried: [] }
  }

  plan(name: string, parts: Partial<Plan>): Plan {
    return {
      name,
      request: [name],
      root: null,
      uid: this.user.uid,
      gid: this.user.gid,
      kernelRelease: release(),
      cpuLevel: addon().cpuLevel(),
      loaderEnvironment: {},
      guards: [],
      objects: { dev: 0n, files: [] },
      overlays: [],
      binds: [],
      programs: [{ name: 'sh', path: '/bin/sh' }],
      environment: [{ name: 'APPC_CONTAINER', value: name }],
      needs: [],
      ...parts,
    }
  }

  /** Writes the plan as `user` would have, and returns its path. */
  install(plan: Plan, key = this.keyOf(plan)): string {
    const path = join(this.store, 'plans', key)
    writeFileSync(path, encodePlan(plan), { mode: 0o644 })
    chownSync(path, this.user.uid, this.user.gid)
    return path
  }

  keyOf(plan: Plan): string {
    const [subject = '', ...libraryDirectories] = plan.request
    const kind = subject.startsWith('/') ? 'program' : 'container'
    const root = plan.root === null ? null : statSync(plan.root, { bigint: true })
    return planKey({ kind, subject, libraryDirectories, root }, plan.loaderEnvironment)
  }

  run(args: readonly string[], options: RunOptions = {}): SpawnSyncReturns<string> {
    return spawnSync(options.command ?? this.launcher, args, {
      encoding: 'utf8',
      uid: this.user.uid,
      gid: this.user.gid,
      cwd: options.cwd ?? this.directory,
      input: options.input ?? '',
      env: this.environment(options.env),
      ...(options.argv0 === undefined ? {} : { argv0: options.argv0 }),
    })
  }

  environment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
    return { PATH: `${this.installation}/bin:/usr/bin:/bin`, APPC_HOME: this.store, APPC_RUN: this.launcher, ...extra }
  }
}

export interface RunOptions {
  readonly command?: string
  readonly cwd?: string
  readonly input?: string
  readonly argv0?: string
  readonly env?: Readonly<Record<string, string>>
}

/** The guard that holds for `path` as it is now. */
export function identity(path: string, seenAs: string | null = null): Guard & { readonly kind: 'identity' } {
  const { dev, ino, size, mode, mtimeNs, ctimeNs } = lstatSync(path, { bigint: true })
  return { kind: 'identity', path, dev, ino, size: Number(size), mode: Number(mode), mtimeNs, ctimeNs, seenAs }
}
