# shellcheck shell=bash disable=SC2154
# Words for the files in programs/, which are sourced after this one. Each tells of one program:
#
#   kind        what it stands for
#   packages    Debian's, of the source tree
#   entries     what is packed, and run by its last name
#   include     what is packed besides (appc pack --include)
#   check       uses the program for its real job, in an empty directory, and prints what came of it
#   expected    prints what that should be
#   known       where it is known to fail, and why: [SOURCE:HOST]='…'
#
# The suite that it is packed from is $suite, and its tree $source; where it runs, $host (a suite) and $root (a tree, or /).

per_suite() {
  case $suite in
    bullseye) echo "$1" ;;
    trixie) echo "$2" ;;
    sid) echo "$3" ;;
  esac
}

# The paths below the source tree that a pattern matches.
in_tree() {
  local path
  for path in "$@"; do
    compgen -G "$source$path" | sed "s,^$source,," || true
  done
}
