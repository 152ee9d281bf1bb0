# shellcheck shell=bash disable=SC2034,SC2154
kind='GTK, X11'
packages=(zenity)
entries=(zenity)
known[trixie:bullseye]='GTK 4 opens the host'\''s libGLX.so.0 by dlopen, beside a private libGLdispatch.so.0 of another build: the context does not work, and GTK crashes. The host'\''s libglx0 depends on exactly its libglvnd0, which is replaced; with libGL, libGLX and libGLX_mesa private too it works (lib/decide: the neighbours'\'' rule)'
known[sid:trixie]='libglib-2.0.so.0 is private and libgobject-2.0.so.0 of the same package is the host'\''s; libgobject calls into the heap through libglib. Thought, not proved: GLib hands it a table of functions whose layout is of one build (lib/decide: libraries of one package that need each other)'
known[sid:bullseye]='no plan: libsystemd-core-262.so is taken for a plugin of zenity; the library that it needs is found by systemd'\''s RUNPATH only, and its symbols are asked for all the same (lib/decide: a module is judged in the scope of the first entry)'
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
