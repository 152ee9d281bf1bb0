import t from 'tap'
import { Sandbox } from '../native/fixture.js'
import { bootMachine } from '../support/machine.js'

/*
 * What a kernel refuses, and when, is only to be seen on that kernel: Debian 12's is older than when an overlay's options are refused
 * one by one (6.5), and than "lowerdir+" (6.8).
 */

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
  const sandbox = new Sandbox({ uid: 0, gid: 0 })
  t.teardown(() => sandbox.remove())
  const { release, shown } = bootMachine(sandbox, {
    files: { there: null, jail: null, init: INIT, launch: LAUNCH },
    commands: 'cat chown chroot cp cut echo grep insmod ln mkdir su whoami'.split(' '),
    plan: { overlays: [{ target: '/there/host', layer: '/there/layer', carried: [] }] },
  })
  t.comment(release)
  const launched = (type: string, who: string) => `host\nhost\nlayer\n${type}\n${who} 0\n`
  // A kernel without overlays is what it is before their module is loaded.
  for (const type of ['tmpfs', 'overlay']) t.match(shown, launched(type, 'root') + launched(type, 'user'), type)
  t.match(shown, `chroot\n${launched('overlay', 'root')}`, 'in a chroot to what is no mount point')
})
