# shellcheck shell=bash disable=SC2034,SC2154
kind='C, network'
packages=(curl)
entries=(curl)
check() {
  echo 'hello over TLS' >greeting
  serve .
  run curl --version | awk 'NR == 1 { print $2 }'
  run curl -sS --cacert certificate.pem "$https/greeting"
  run curl -sS "$https/greeting" 2>refused || tail -n +1 refused | grep -o 'certificate' | head -n 1
}
expected() {
  upstream curl
  echo 'hello over TLS'
  echo certificate
}
