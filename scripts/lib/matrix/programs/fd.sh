# shellcheck shell=bash disable=SC2034,SC2154
kind='Rust'
packages=(fd-find)
entries=(fdfind)
check() {
  mkdir -p tree/deep/.hidden
  touch tree/deep/{one,two}.txt tree/deep/.hidden/three.txt
  run fdfind -e txt . tree | sort
  run fdfind -H three tree -x basename
}
expected() {
  printf '%s\n' tree/deep/one.txt tree/deep/two.txt three.txt
}
