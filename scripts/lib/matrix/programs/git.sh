# shellcheck shell=bash disable=SC2034,SC2154
kind='C, starts helpers'
packages=(git)
entries=(git)
check() {
  export GIT_CONFIG_NOSYSTEM=1
  run git init -q -b main origin
  echo 'first line' >origin/file
  run git -C origin add file
  run git -C origin -c user.name=A -c user.email=a@example.org commit -q -m 'one commit'
  run git clone -q --bare origin served.git
  run git -C served.git update-server-info
  serve .
  run git -c http.sslCAInfo="$PWD/certificate.pem" clone -q "$https/served.git" clone
  run git clone -q "file://$PWD/served.git" again
  run git -C clone log --format=%s
  run git -C again grep -n line
}
expected() {
  echo 'one commit'
  echo 'file:1:first line'
}
