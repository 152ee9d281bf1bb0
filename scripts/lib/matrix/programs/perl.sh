# shellcheck shell=bash disable=SC2034,SC2154
kind='interpreter, C modules'
packages=(perl libdbd-sqlite3-perl libxml-libxml-perl)
entries=(perl)
include=("/usr/lib/x86_64-linux-gnu/perl5/$(per_suite 5.32 5.40 5.42)"/{XML/LibXML.pm,DBD/SQLite.pm})
check() {
  run perl - <<'END'
use strict;
use DBI;
use Digest::SHA 'sha256_hex';
use Encode;
use POSIX 'floor';
use XML::LibXML;
printf "%vd\n", $^V;
my $document = XML::LibXML->load_xml(string => '<a><b n="5"/><b n="6"/></a>');
print $document->findvalue('sum(//b/@n)'), "\n";
my $database = DBI->connect('dbi:SQLite:dbname=:memory:', '', '', { RaiseError => 1 });
print $database->selectrow_array('select 6 * 7'), "\n";
print substr(sha256_hex(''), 0, 8), ' ', floor(2.5), ' ', length(decode('UTF-8', "\xc3\xa4")), "\n";
END
}
expected() {
  upstream perl
  printf '%s\n' 11 42 'e3b0c442 2 1'
}
