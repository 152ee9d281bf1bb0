# shellcheck shell=bash disable=SC2034,SC2154
kind='Qt, X11'
packages=(pinentry-qt)
entries=(pinentry-qt)
check() {
  display
  printf 'OPTION no-grab\nSETTITLE Question\nSETPROMPT Word\nGETPIN\nBYE\n' | run pinentry-qt 2>warnings >answer &
  type_into Question secret
  wait "$!"
  grep ^D answer
}
expected() {
  echo 'D secret'
}
