# shellcheck shell=bash disable=SC2034,SC2154
kind='C++, PDF'
packages=(poppler-utils)
entries=(pdftotext pdftoppm)
check() {
  cat >page.pdf <<'END'
%PDF-1.4
1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj
2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj
3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Contents 4 0 R /Resources
  <</Font <</F <</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>>>>>>> endobj
4 0 obj <</Length 42>> stream
BT /F 18 Tf 20 50 Td (A page of text) Tj ET
endstream endobj
trailer <</Root 1 0 R>>
END
  run pdftotext page.pdf - 2>warnings | xargs
  run pdftoppm -png -r 50 page.pdf page 2>>warnings
  head -c 4 page-1.png | tail -c 3
}
expected() {
  echo 'A page of text'
  printf PNG
}
