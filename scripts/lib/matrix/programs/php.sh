# shellcheck shell=bash disable=SC2034,SC2154
kind='interpreter, modules by dlopen'
php=php$(per_suite 7.4 8.4 8.4)
packages=(php-cli php-mbstring php-sqlite3 php-xml)
entries=("$php")
mapfile -t include < <(in_tree /usr/lib/php/2*/{dom,json,mbstring,sqlite3}.so) # json.so is there in PHP 7 only
known[trixie:bullseye]='the host'\''s PCRE 10.36 is shared: it has all symbols and meets libpcre2-8-0 (>= 10.32), but refuses options that this PHP gives it; with the private PCRE it works, and nothing in the package says so'
check() {
  cat >program.php <<'END'
<?php
echo PHP_VERSION, "\n";
$document = new DOMDocument();
$document->loadXML('<a><b n="5"/><b n="6"/></a>');
echo (new DOMXPath($document))->evaluate('sum(//b/@n)'), "\n";
echo (new SQLite3(':memory:'))->querySingle('select 6 * 7'), "\n";
echo mb_strtoupper('ä'), ' ', json_encode(['a' => 1]), ' ', preg_replace('/\pL+/u', 'x', 'äöü1'), "\n";
echo substr(hash('sha256', ''), 0, 8), ' ', bin2hex(openssl_digest('', 'md5', true)), "\n";
END
  local path options=()
  for path in "${include[@]}"; do options+=(-d extension="$(basename "$path" .so)"); done
  run "$php" -n "${options[@]}" program.php
}
expected() {
  upstream "$php-cli"
  printf '%s\n' 11 42 'Ä {"a":1} x1' 'e3b0c442 d41d8cd98f00b204e9800998ecf8427e'
}
