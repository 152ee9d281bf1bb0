# shellcheck shell=bash disable=SC2034,SC2154
kind='database server, C++'
packages=(mariadb-server-core"$(per_suite -10.5 '' '')" mariadb-client-core"$(per_suite -10.5 '' '')")
entries=(/usr/sbin/mariadbd /usr/bin/mariadb-install-db /usr/bin/mariadb)
check() {
  run mariadb-install-db --no-defaults --datadir="$PWD/data" --auth-root-authentication-method=normal >install.log 2>&1
  run mariadbd --no-defaults --datadir="$PWD/data" --socket="$PWD/socket" --skip-networking --pid-file="$PWD/pid" \
    >server.log 2>&1 &
  until_there socket
  run mariadb --no-defaults --socket="$PWD/socket" -uroot -N -B -e 'create database d; use d;
    create table t (n int primary key, s varchar(9)) engine=innodb; insert into t values (1, "a"), (2, "ö");
    select sum(n), upper(max(s)) from t; select left(sha2("", 256), 8); shutdown'
}
expected() {
  printf '3\tÖ\ne3b0c442\n'
}
