# shellcheck shell=bash disable=SC2034,SC2154
kind='editor, data files'
packages=(vim)
entries=(vim.basic)
check() {
  printf 'int main(void) { return world; }\n' >program.c
  run vim.basic -Nu NONE -i NONE -es -c 'syntax on' -c 'set filetype=c' -c '%s/world/0/' \
    -c 'call writefile([synIDattr(synID(1, 1, 1), "name"), v:version >= 802], "answers")' -c wq program.c
  cat program.c answers
}
expected() {
  printf '%s\n' 'int main(void) { return 0; }' cType 1
}
