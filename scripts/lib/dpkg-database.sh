#!/bin/sh
# Fills the dpkg database of the tree at $1 from the archives that it was extracted from, and makes its ld.so.cache.
# An extract hook of mmdebstrap, whose extract variant leaves both out: dpkg never runs there.
# Given to mmdebstrap as text, not as a file: as an ordinary user it runs with another uid, which may not reach this file.
set -eu
tree=$1
database=$tree/var/lib/dpkg
# Without this file dpkg takes the lists of co-installable packages to be named without their architecture
# (dpkg, lib/dpkg/db-fsys-load.c and infodb-format.c).
echo 1 >"$database/info/format"
: >"$database/status"
: >"$database/available"

for archive in "$tree"/var/cache/apt/archives/*.deb; do
  name=$(dpkg-deb --show --showformat '${Multi-Arch} ${Package}:${Architecture}' "$archive")
  case $name in
    same\ *) name=${name#* } ;; # co-installable: the name carries the architecture
    *) name=${name#* } name=${name%:*} ;;
  esac

  # Everything of the control archive but the control file itself stays in info/, under the package's name.
  control=$(mktemp -d "$tree/tmp/control.XXXXXX")
  dpkg-deb --control "$archive" "$control"
  dpkg-deb --field "$archive" | sed '1a Status: install ok installed' >>"$database/status"
  echo >>"$database/status"
  rm "$control/control"
  for file in "$control"/*; do
    [ ! -e "$file" ] || mv "$file" "$database/info/$name.${file##*/}"
  done
  rmdir "$control"

  # ./usr/bin/ is /usr/bin in a list, and the root itself is /. there.
  dpkg-deb --fsys-tarfile "$archive" | tar --list --quoting-style=literal |
    sed -e 's,^\.,,' -e 's,/$,,' -e 's,^$,/.,' >"$database/info/$name.list"
done

ldconfig -r "$tree"
# Of the machine that made the tree, not of the tree.
rm -f "$tree/etc/hostname" "$tree/etc/resolv.conf"
