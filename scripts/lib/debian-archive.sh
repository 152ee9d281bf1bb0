# shellcheck shell=bash
# Where packages of any Debian suite are fetched from, to be sourced after setup.sh: the archive that this machine's own apt uses.

# A line for sources.list: SUITE in the main archive, with the keyring that goes with it; nothing where apt knows of none.
apt_source() {
  local uri entry keyring
  read -r uri entry < <(debian_archive) || true
  if [ -z "${uri:-}" ] && [ "$(id -u)" = 0 ]; then
    apt-get update -qq </dev/null >&2 || true # slim images come without package lists
    read -r uri entry < <(debian_archive) || true
  fi
  [ -n "${uri:-}" ] || return 0
  keyring=$(sed -nE 's/^Signed-By: *(\/[^ ]+) *$/\1/Ip; s/.*[[ ]signed-by=(\/[^] ,]+).*/\1/p' "${entry%:*}" | head -n 1)
  printf 'deb %s%s %s main\n' "${keyring:+[signed-by=$keyring] }" "$uri" "$1"
}

debian_archive() {
  apt-get indextargets --format '$(REPO_URI) $(SOURCESENTRY)' \
    'Origin: Debian' 'Label: Debian' 'Component: main' 'Created-By: Packages' | head -n 1
}
