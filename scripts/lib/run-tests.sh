# shellcheck shell=bash
# Running tests, to be sourced after setup.sh.

need_test_packages() {
  need_packages gcc g++ openssl util-linux mount btrfs-progs e2fsprogs xfsprogs make libc6-dev musl netbase perl-base binutils python3 git curl strace bubblewrap mmdebstrap uidmap xz-utils qemu-user libc6-i386 libc6-x32 libcap2-bin libc6-s390x-cross libc6-powerpc-cross libc6-arm64-cross qemu-system-x86 busybox-static cpio dbus-daemon dbus-bin xdg-dbus-proxy xxhash systemd
}

# A test is a file that imports tap; the others in test/ are what tests share.
find_tests() {
  local path
  for path in "${@:-test}"; do
    path=${path#"$PWD/"}
    path=${path#dist/}
    path=${path%.js}
    path=dist/${path%.ts}
    [ -d "$path" ] || path=$path.js
    [ -e "$path" ] || fail "$path: no such test"
    grep --recursive --files-with-matches --include='*.js' --exclude-dir=support "from 'tap'" "$path" || true
  done | sort -u
}

# With NODE and to RESULTS the tests FILE…: all that is told goes there; of it, a line for each file and what failed in it is printed.
run_tests() {
  local node=$1 results=$2
  shift 2
  "$node" dist/test/support/run-files.js "$@" </dev/null | tee "$results" |
    grep --text --line-buffered -vE '^ +(ok |1\.\.|# )|^ *$|^# Subtest'
}

# The count KIND of tap's closing line in RESULTS, such as # { total: 8, pass: 6, fail: 1, skip: 1 }, where a zero is left out.
count() {
  sed -nE 's/^# \{ (.*) \}$/, \1,/p' "$2" | tail -n 1 | sed -nE "s/.*, $1: ([0-9]+),.*/\\1/p" | grep . || echo 0
}
