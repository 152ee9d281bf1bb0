# shellcheck shell=bash disable=SC2034,SC2154
kind='PostScript, data files'
packages=(ghostscript)
entries=(gs)
check() {
  echo '%!PS
/Helvetica findfont 24 scalefont setfont 72 700 moveto (A page of text) show showpage' >page.ps
  run gs -q -dNOPAUSE -dBATCH -sDEVICE=pdfwrite -sOutputFile=page.pdf page.ps
  run gs -q -dNOPAUSE -dBATCH -sDEVICE=txtwrite -sOutputFile=page.txt page.pdf
  tr -s '\r\n ' ' ' <page.txt; echo
  run gs -q -dNOPAUSE -dBATCH -sDEVICE=png16m -r50 -sOutputFile=page.png page.pdf
  head -c 4 page.png | tail -c 3
}
expected() {
  echo ' A page of text '
  printf PNG
}
