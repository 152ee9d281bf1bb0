# shellcheck shell=bash disable=SC2034,SC2154
kind='Go'
packages=(restic)
entries=(restic)
check() {
  mkdir data
  echo kept >data/file
  export RESTIC_PASSWORD=word RESTIC_REPOSITORY=$PWD/repository
  run restic --no-cache -q init
  run restic --no-cache -q backup data
  rm -r data
  run restic --no-cache -q restore latest --target restored >restore.log
  find restored -name file -exec cat {} +
  run restic --no-cache check 2>&1 | tail -n 1
}
expected() {
  printf '%s\n' kept 'no errors were found'
}
