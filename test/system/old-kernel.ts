import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { encodePlan } from '../../lib/plan/file.js'
import { makeTree, Sandbox } from '../native/fixture.js'
import { unpacked } from '../support/elf-files.js'

/*
 * What a kernel refuses, and when, is only to be seen on that kernel: an emulated machine boots Debian's own, which on Debian 12 is
 * Linux 6.1, and launches from a file system in memory.
 */

/** Before an overlay's options are refused one by one (6.5), and before there is "lowerdir+" (6.8). */
function unpackKernel(): { readonly release: string; readonly image: string; readonly overlay: string } {
  const depends = execFileSync('apt-cache', ['depends', 'linux-image-cloud-amd64'], { encoding: 'utf8' })
  const [, name = '', release = ''] = /Depends: (linux-image-(\S+))/.exec(depends) ?? []
  const directory = unpacked(name)
  const modules = join(directory, 'lib/modules', release, 'kernel/fs/overlayfs')
  const [overlay = ''] = readdirSync(modules)
  return { release, image: join(directory, 'boot', `vmlinuz-${release}`), overlay: join(modules, overlay) }
}

const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t tmpfs tmpfs /there
mkdir -p /there/host /there/layer/.appc-host
echo host >/there/host/kept
ln -s kept /there/host/link
echo host >/there/host/replaced
echo layer >/there/layer/replaced
chown -R 1000:1000 /stores/user
for with in none overlay; do
  if [ $with = overlay ]; then insmod /overlay.ko; fi
  /launch
  su user -c /launch
done
mount -t tmpfs tmpfs /jail
for path in /bin /etc /proc /installation /stores /there; do mkdir -p /jail/root$path; mount -o bind $path /jail/root$path; done
cp /launch /jail/root
echo chroot
chroot /jail/root /launch
poweroff -f
`

const LAUNCH = `#!/bin/sh
show='cat /there/host/*; grep " /there/host " /proc/mounts | cut -d " " -f 3'
APPC_HOME=/stores/$(whoami) /installation/build/Release/appc-run app -c "$show"
echo "$(whoami) $?"
`

t.test('an old kernel', async t => {
  const { release, image, overlay } = unpackKernel()
  const sandbox = new Sandbox({ uid: 0, gid: 0 })
  t.teardown(() => sandbox.remove())
  const machine = sandbox.path('machine')
  makeTree(machine, {
    bin: null,
    proc: null,
    there: null,
    jail: null,
    init: INIT,
    launch: LAUNCH,
    'etc/passwd': 'root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n',
    'installation/build/Release': null,
  })
  copyFileSync('/bin/busybox', join(machine, 'bin/busybox'))
  const commands = 'cat chown chroot cp cut echo grep insmod ln mkdir mount poweroff sh su whoami'.split(' ')
  for (const command of commands) symlinkSync('busybox', join(machine, 'bin', command))
  copyFileSync(overlay, join(machine, 'overlay.ko'))
  copyFileSync(sandbox.launcher, join(machine, 'installation/build/Release/appc-run'))
  const overlays = [{ target: '/there/host', layer: '/there/layer', carried: [] }]
  for (const [who, id] of Object.entries({ root: 0, user: 1000 })) {
    makeTree(machine, { [`stores/${who}/plans`]: null })
    // The machine's processor is a plain one.
    const plan = sandbox.plan('app', { uid: id, gid: id, kernelRelease: release, cpuLevel: 1, overlays })
    writeFileSync(join(machine, `stores/${who}/plans/app`), encodePlan(plan))
  }

  const archive = sandbox.path('machine.cpio')
  execFileSync('sh', ['-c', 'find . | cpio --quiet --create --format=newc >"$1"', 'sh', archive], { cwd: machine })
  const options = ['-machine', 'pc,accel=tcg', '-cpu', 'qemu64', '-m', '512', '-nographic', '-no-reboot']
  const boot = ['-kernel', image, '-initrd', archive, '-append', 'console=ttyS0 quiet panic=-1']
  const { stdout } = spawnSync('qemu-system-x86_64', [...options, ...boot], { encoding: 'utf8', timeout: 120_000 })
  t.comment(release)
  const launched = (type: string, who: string) => `host\r\nhost\r\nlayer\r\n${type}\r\n${who} 0\r\n`
  // A kernel without overlays is what it is before their module is loaded.
  for (const type of ['tmpfs', 'overlay']) t.match(stdout, launched(type, 'root') + launched(type, 'user'), type)
  t.match(stdout, `chroot\r\n${launched('overlay', 'root')}`, 'in a chroot to what is no mount point')
})
