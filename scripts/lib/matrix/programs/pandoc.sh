# shellcheck shell=bash disable=SC2034,SC2154
kind='Haskell, data files'
packages=(pandoc)
entries=(pandoc)
check() {
  printf '# Title\n\nSome *text* and $x^2$.\n' >page.md
  run pandoc -t html page.md | head -n 1
  run pandoc -s -o page.docx page.md
  run pandoc -t plain page.docx | tail -n 1
}
expected() {
  printf '%s\n' '<h1 id="title">Title</h1>' 'Some text and x².'
}
