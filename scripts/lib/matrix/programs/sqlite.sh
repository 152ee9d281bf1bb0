# shellcheck shell=bash disable=SC2034,SC2154
kind='database in a library'
packages=(sqlite3)
entries=(sqlite3)
check() {
  run sqlite3 file.db "create table t (n integer, s text); insert into t values (1, '!'), (2, json_array(3))"
  run sqlite3 file.db "select sum(n), json_extract(max(s), '\$[0]') from t; select sqlite_version()"
}
expected() {
  echo '3|3'
  upstream sqlite3
}
