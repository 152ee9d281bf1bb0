# shellcheck shell=bash disable=SC2034,SC2154
kind='web server, TLS'
packages=("$(per_suite nginx-light nginx nginx)")
entries=(/usr/sbin/nginx)
check() {
  make_certificate
  local port
  port=$(free_port)
  mkdir served tmp
  echo 'a page' >served/index.html
  cat >nginx.conf <<END
daemon off;
pid $PWD/pid;
error_log $PWD/error.log;
events {}
http {
  access_log off;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  server {
    listen 127.0.0.1:$port ssl;
    ssl_certificate $PWD/certificate.pem;
    ssl_certificate_key $PWD/key.pem;
    root $PWD/served;
    location ~ ^/twice/(\d+)$ { return 200 "\$1\$1\n"; }
  }
}
END
  run nginx -p "$PWD" -c "$PWD/nginx.conf" &
  until_there pid
  curl -sS --cacert certificate.pem --retry 5 --retry-connrefused "https://127.0.0.1:$port/"
  curl -sS --cacert certificate.pem "https://127.0.0.1:$port/twice/21"
}
expected() {
  printf '%s\n' 'a page' 2121
}
