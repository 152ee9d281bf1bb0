# shellcheck shell=bash disable=SC2034,SC2154
kind='ptrace'
packages=(strace)
entries=(strace)
check() {
  run strace -f -o calls -e trace=write /bin/echo traced
  grep -o 'write(1, "traced' calls
}
expected() {
  printf '%s\n' traced 'write(1, "traced'
}
