# shellcheck shell=bash disable=SC2034,SC2154
kind='debugger, embeds python'
packages=(gdb)
entries=(gdb)
check() {
  echo 'int twice(int n) { return 2 * n; }
int main(void) { return twice(21) - 42; }' >program.c
  gcc -g -static -o program program.c
  run gdb -q -nx -batch -ex 'set startup-with-shell off' -ex 'break twice' -ex run -ex 'print n' -ex finish \
    -ex 'python print("python", gdb.parse_and_eval("21 * 2"))' -ex continue program >session 2>&1
  grep -oE '^[$]1 = 21|^Value returned is [$]2 = 42|^python 42|exited normally' session
}
expected() {
  printf '%s\n' '$1 = 21' 'Value returned is $2 = 42' 'python 42' 'exited normally'
}
