# shellcheck shell=bash disable=SC2034,SC2154
kind='database server, modules by dlopen'
postgres=$(per_suite 13 17 18)
packages=("postgresql-$postgres")
entries=(/usr/lib/postgresql/"$postgres"/bin/{initdb,pg_ctl,postgres,psql})
check() {
  run initdb -D data -A trust -U me --locale=C --encoding=UTF8 >initdb.log
  run pg_ctl -D data -s -w -l server.log -o "-k '$PWD' -c listen_addresses=" start >pg_ctl.log
  defer run pg_ctl -D data -s -m immediate stop
  run psql -h "$PWD" -U me -qAtX -d postgres <<'END'
create extension pgcrypto;
create extension "uuid-ossp";
create table t as select n, md5(n::text) from generate_series(1, 1000) n;
select count(*), sum(n) from t;
select left(encode(digest('', 'sha256'), 'hex'), 8), length(uuid_generate_v4()::text), xpath('sum(//b/@n)', '<a><b n="5"/><b n="6"/></a>');
select 'ä' < 'b' collate "de-x-icu", upper('ä' collate "de-x-icu"), to_char(timestamptz '2024-07-01 12:00Z' at time zone 'Europe/Berlin', 'HH24');
select current_setting('server_version_num')::int / 10000;
END
}
expected() {
  printf '%s\n' '1000|500500' 'e3b0c442|36|{11}' 't|Ä|14' "$postgres"
}
