# shellcheck shell=bash disable=SC2034,SC2154
kind='GTK, X11'
packages=(zenity)
entries=(zenity)
check() {
  display
  run zenity --entry --title=Question --text=Answer 2>warnings >answer &
  type_into Question 'typed words'
  wait "$!"
  cat answer
}
expected() {
  echo 'typed words'
}
