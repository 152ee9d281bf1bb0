# shellcheck shell=bash disable=SC2034,SC2154
kind='cryptography, own library'
packages=(openssl)
entries=(openssl)
check() {
  run openssl version | cut -d' ' -f2
  run openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=me -days 2 -keyout key.pem -out certificate.pem 2>req.log
  run openssl verify -CAfile certificate.pem certificate.pem
  echo text >text
  run openssl dgst -sha256 -sign key.pem -out signature text
  run openssl x509 -in certificate.pem -noout -pubkey >public.pem
  run openssl dgst -sha256 -verify public.pem -signature signature text
  run openssl enc -aes-256-cbc -pbkdf2 -k word -in text | run openssl enc -d -aes-256-cbc -pbkdf2 -k word
}
expected() {
  upstream openssl
  printf '%s\n' 'certificate.pem: OK' 'Verified OK' text
}
