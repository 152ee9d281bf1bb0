# shellcheck shell=bash
# Set-up shared by the scripts, to be sourced: each function makes sure of one thing and is quick when it already holds.
# All that it tells goes to stderr, so that a script's stdout stays its own.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

fail() {
  say "$@"
  exit 1
}

# Programs that tell a lot when all is well.
quietly() {
  local output
  output=$("$@" 2>&1) || {
    printf '%s\n' "$output" >&2
    fail "${1##*/} $2 failed"
  }
}

missing_packages() {
  printf '%s\n' "$@" | grep -vxFf <(
    dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p'
  ) || true
}

# Debian packages, installed when we are root; anyone else is told the one line to run.
need_packages() {
  local missing install
  command -v dpkg-query >/dev/null ||
    fail "set-up is written for Debian; without apt, provide what these packages hold: $*"
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  install=(apt-get install --yes --no-install-recommends "${missing[@]}")
  [ "$(id -u)" = 0 ] || fail "some Debian packages are missing; as root, run: ${install[*]}"

  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # Once more after a failure: a mirror that is being updated, or a package list that has just aged.
  apt_install "${install[@]}" || apt_install "${install[@]}" || fail "cannot install ${missing[*]}"
}

# Another script, or the machine's own updates, may hold the lock of dpkg: wait for it.
apt_install() {
  apt-get update -qq -o DPkg::Lock::Timeout=300 </dev/null >&2 &&
    "$1" -qq -o DPkg::Lock::Timeout=300 "${@:2}" </dev/null >&2
}

# The modules of package-lock.json. A copy of it says what they were installed from: times would not survive a checkout.
# Install scripts are left out: none of the modules needs its own, and ours, for those who install the package, is
# what need_build does.
need_node_modules() {
  local stamp=node_modules/.installed-from
  ! cmp --silent package-lock.json "$stamp" || return 0
  say 'installing the node modules'
  npm_ci || npm_ci || fail 'npm ci failed'
  # tap's own class is generated from its plugins: .taprc leaves one out.
  node_modules/.bin/tap build </dev/null >&2 || fail 'tap build failed'
  cp package-lock.json "$stamp"
}

npm_ci() {
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null >&2
}

need_build() {
  scripts/build >&2
}
