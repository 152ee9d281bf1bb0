# shellcheck shell=bash disable=SC2034,SC2154
kind='server and client'
packages=(redis-server)
entries=(redis-server redis-cli)
check() {
  run redis-server --port 0 --unixsocket "$PWD/socket" --dir "$PWD" --save '' >server.log &
  until_there socket
  run redis-cli -s socket set key value
  run redis-cli -s socket get key
  run redis-cli -s socket eval 'return redis.call("get", KEYS[1]) .. cjson.encode({1})' 1 key
  run redis-cli -s socket save
  head -c 5 dump.rdb
}
expected() {
  printf '%s\n' OK value 'value[1]' OK
  printf REDIS
}
