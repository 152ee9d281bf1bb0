# shellcheck shell=bash disable=SC2034,SC2154
kind='small filter'
packages=(jq)
entries=(jq)
check() {
  echo '{"rows":[{"n":"ä"},{"n":"b"}]}' | run jq -c '[.rows[].n | test("^\\w$")] + [.rows[0].n]'
}
expected() {
  echo '[true,true,"ä"]'
}
