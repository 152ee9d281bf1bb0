# shellcheck shell=bash disable=SC2034,SC2154
kind='server and client'
packages=(rsync)
entries=(rsync)
check() {
  local port
  port=$(free_port)
  mkdir data
  echo kept >data/file
  printf 'pid file = %s/pid\nuse chroot = no\n[data]\npath = %s/data\n' "$PWD" "$PWD" >rsyncd.conf
  run rsync --daemon --no-detach --address=127.0.0.1 --port="$port" --config=rsyncd.conf --log-file=log &
  until_there pid
  run rsync -az "rsync://127.0.0.1:$port/data/" copy
  cat copy/file
}
expected() {
  echo kept
}
