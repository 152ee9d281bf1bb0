# shellcheck shell=bash disable=SC2034,SC2154
kind='editor, dumped heap'
packages=(emacs-nox)
entries=(emacs-nox)
check() {
  printf 'b\na\n' >lines
  run emacs-nox --batch -Q --eval '(progn
    (require (quote json)) (require (quote org))
    (find-file "lines") (sort-lines nil (point-min) (point-max)) (save-buffer)
    (princ (json-encode (list :org (org-export-string-as "* Title" (quote ascii) t) :version emacs-major-version))))' 2>said |
    grep -o 'Title'
  cat lines
}
expected() {
  printf '%s\n' Title a b
}
