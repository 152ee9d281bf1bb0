# shellcheck shell=bash disable=SC2034,SC2154
kind='GTK, X11'
packages=(zenity)
entries=(zenity)
known[trixie:bullseye]='GTK 4 opens the host'\''s libGLX.so.0 by dlopen, beside a private libGLdispatch.so.0 of another build: the context does not work, and GTK crashes. The host'\''s libglx0 depends on exactly its libglvnd0, which is replaced; with libGL, libGLX and libGLX_mesa private too it works (lib/decide: the neighbours'\'' rule)'
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
