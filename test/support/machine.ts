import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodePlan } from '../../lib/plan/file.js'
import type { Plan } from '../../lib/plan/types.js'
import { makeTree, type Sandbox } from '../native/fixture.js'
import { unpacked } from './elf-files.js'

/** Of Debian's own kernel, for machines in the cloud; on Debian 12 it is Linux 6.1. */
function unpackKernel(): { readonly release: string; readonly image: string; readonly overlay: string } {
  const depends = execFileSync('apt-cache', ['depends', 'linux-image-cloud-amd64'], { encoding: 'utf8' })
  const [, name = '', release = ''] = /Depends: (linux-image-(\S+))/.exec(depends) ?? []
  const directory = unpacked(name)
  const modules = join(directory, 'lib/modules', release, 'kernel/fs/overlayfs')
  const [overlay = ''] = readdirSync(modules)
  return { release, image: join(directory, 'boot', `vmlinuz-${release}`), overlay: join(modules, overlay) }
}

export interface Machine {
  /** Paths with what they hold; null is a directory. */
  readonly files: Readonly<Record<string, string | null>>
  /** Those of busybox. */
  readonly commands: readonly string[]
  readonly plan: Partial<Plan>
}

/**
 * Boots an emulated machine, whose file system is in memory, and shows what its /init tells. There are root and `user` (1000), each
 * with a container `app` in /stores/NAME, a launcher in /installation/build/Release, and overlays in /overlay.ko.
 */
export function bootMachine(sandbox: Sandbox, { files, commands, plan }: Machine) {
  const { release, image, overlay } = unpackKernel()
  const machine = sandbox.path('machine')
  makeTree(machine, {
    bin: null,
    proc: null,
    'etc/passwd': 'root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n',
    'installation/build/Release': null,
    ...files,
  })
  copyFileSync('/bin/busybox', join(machine, 'bin/busybox'))
  for (const command of ['sh', 'mount', 'poweroff', ...commands]) symlinkSync('busybox', join(machine, 'bin', command))
  copyFileSync(overlay, join(machine, 'overlay.ko'))
  copyFileSync(sandbox.launcher, join(machine, 'installation/build/Release/appc-run'))
  for (const [who, id] of Object.entries({ root: 0, user: 1000 })) {
    makeTree(machine, { [`stores/${who}/plans`]: null })
    // The machine's processor is a plain one.
    const whole = sandbox.plan('app', { uid: id, gid: id, kernelRelease: release, cpuLevel: 1, ...plan })
    writeFileSync(join(machine, `stores/${who}/plans/app`), encodePlan(whole))
  }

  const archive = sandbox.path('machine.cpio')
  execFileSync('sh', ['-c', 'find . | cpio --quiet --create --format=newc >"$1"', 'sh', archive], { cwd: machine })
  const options = ['-machine', 'pc,accel=tcg', '-cpu', 'qemu64', '-m', '512', '-nographic', '-no-reboot']
  const boot = ['-kernel', image, '-initrd', archive, '-append', 'console=ttyS0 loglevel=0 panic=-1']
  const { stdout } = spawnSync('qemu-system-x86_64', [...options, ...boot], { encoding: 'utf8', timeout: 120_000 })
  return { release, shown: stdout.replaceAll('\r', '') }
}
