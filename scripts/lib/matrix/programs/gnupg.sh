# shellcheck shell=bash disable=SC2034,SC2154
kind='starts an agent'
packages=(gnupg pinentry-curses)
entries=(gpg gpg-agent gpgconf)
check() {
  export GNUPGHOME=$PWD/keys
  mkdir -m 700 keys
  defer run gpgconf --kill all
  run gpg -q --batch --passphrase '' --quick-generate-key me@example.org default default never 2>generate.log
  echo secret | run gpg -q --batch --trust-model always -r me@example.org -e >secret.gpg
  run gpg -q --batch -d secret.gpg
  echo text | run gpg -q --batch --clearsign >text.asc
  run gpg -q --batch --status-fd 1 --verify text.asc 2>verify.log | grep -o GOODSIG
}
expected() {
  printf '%s\n' secret GOODSIG
}
