# shellcheck shell=bash disable=SC2034,SC2154
kind='terminal, server and client'
packages=(tmux)
entries=(tmux)
check() {
  export SHELL=/bin/sh
  run tmux -S socket -f /dev/null new-session -d -x 80 -y 24 'echo on a terminal; exec sleep 60'
  sleep 1
  run tmux -S socket capture-pane -p | head -n 1
  run tmux -S socket list-sessions -F '#{window_width}'
  run tmux -S socket kill-server
}
expected() {
  printf '%s\n' 'on a terminal' 80
}
