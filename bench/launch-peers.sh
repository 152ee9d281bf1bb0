# shellcheck shell=bash
# shellcheck disable=SC2154 # The variables are those of bench/launch.
# Container engines beside a launch, to be sourced by bench/launch: the same program, with as few namespaces as each allows. Where one
# cannot run on this machine its row says why.

# An OCI bundle as like appc's as there is: this machine's directories, a mount namespace, for an ordinary user a user namespace,
# and nothing else. Roots other than a directory of their own are refused by pivot_root.
make_bundle() {
  "${as[@]}" node - "$1" "$program" <<'END'
    const { mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } = require('fs')
    const [bundle, program] = process.argv.slice(2)
    mkdirSync(`${bundle}/rootfs`, { recursive: true })
    const mounts = readdirSync('/', { withFileTypes: true }).flatMap(entry => {
      const path = `/${entry.name}`
      if (entry.isSymbolicLink()) symlinkSync(readlinkSync(path), `${bundle}/rootfs${path}`)
      if (!entry.isDirectory()) return []
      mkdirSync(`${bundle}/rootfs${path}`)
      return [{ destination: path, type: 'bind', source: path, options: ['rbind'] }]
    })
    const map = id => [{ containerID: 0, hostID: id, size: 1 }]
    const own = process.getuid() === 0 ? {} : { uidMappings: map(process.getuid()), gidMappings: map(process.getgid()) }
    const namespaces = ['mount', ...(process.getuid() === 0 ? [] : ['user'])].map(type => ({ type }))
    writeFileSync(`${bundle}/config.json`, JSON.stringify({
      ociVersion: '1.0.2',
      process: { user: { uid: 0, gid: 0 }, args: [program], env: ['PATH=/usr/bin'], cwd: '/' },
      root: { path: 'rootfs', readonly: true },
      mounts,
      linux: { namespaces, ...own },
    }))
END
}

# podman wants a root of the container's own, with places for what it mounts.
make_podman_root() {
  "${as[@]}" cp -r "$work/private-1" "$1"
  "${as[@]}" mkdir -p "$1"/{proc,sys,dev,run,tmp}
  "${as[@]}" touch "$1"/etc/{hosts,resolv.conf,hostname} "$1/run/.containerenv"
}

# crun 1.8 refuses to work where both versions of control groups are mounted, and none of them is asked for here: so all
# are measured without version 2, in a mount namespace that root makes for it.
without_unified_cgroups() {
  if [ "$(id -u)" = 0 ] && mountpoint --quiet /sys/fs/cgroup/unified; then
    unshare --mount sh -c 'umount /sys/fs/cgroup/unified && exec "$@"' sh "$@"
  else
    "$@"
  fi
}

measure_peers() {
  local name words=() commands=(bare "$program") state=$store/peers outer
  local -A peers=(
    [crun]="crun --cgroup-manager=disabled --root $state/crun run --bundle $state/bundle bench-crun"
    [runc]="runc --root $state/runc run --bundle $state/bundle bench-runc"
    [podman]="podman run --rm --cgroups=disabled --network=host --uts=host --security-opt=seccomp=unconfined --log-driver=none"
  )
  # No more than an ordinary user may have, or root without CAP_SYS_RESOURCE.
  peers[podman]+=" --ulimit=nofile=1024:1024 --ulimit=nproc=1024:1024 --no-hosts --rootfs $state/root /usr/bin/nothing"
  "${as[@]}" mkdir "$state"
  make_bundle "$state/bundle"
  make_podman_root "$state/root"
  outer=("${as[@]}")
  as=(without_unified_cgroups "${outer[@]}" "XDG_RUNTIME_DIR=$state" "HOME=$state")
  for name in crun runc podman; do
    read -ra words <<<"${peers[$name]}"
    if "${as[@]}" "${words[@]}" >/dev/null 2>"$store/$name.stderr" </dev/null; then
      commands+=("$name" "${peers[$name]}")
    else
      printf '%-10s%-24s%-10s cannot run here: %s\n' "$user" 'container engines' "$name" "$(tail -n 1 "$store/$name.stderr")"
    fi
  done
  run_hyperfine peers "$((RUNS / 10 + 1))" "${commands[@]}"
  print_rows peers 'container engines'
  as=("${outer[@]}")
}
