# shellcheck shell=bash disable=SC2034,SC2154
kind='Rust'
packages=(ripgrep)
entries=(rg)
check() {
  mkdir -p tree/ignored tree/.git
  echo ignored >tree/.gitignore
  echo 'the Needle here' | tee tree/a tree/ignored/b >/dev/null
  run rg -n -i '\bneedle\b' tree
  run rg --version | awk 'NR == 1 { print $2 }'
}
expected() {
  echo 'tree/a:1:the Needle here'
  upstream ripgrep
}
