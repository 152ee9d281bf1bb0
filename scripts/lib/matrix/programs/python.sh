# shellcheck shell=bash disable=SC2034,SC2154
kind='interpreter, C and Rust modules'
python=python$(per_suite 3.9 3.13 3.14)
modules=/usr/lib/python3/dist-packages
packages=(python3 python3-cryptography python3-lxml python3-numpy)
entries=("$python")
include=("$modules/"{cryptography,lxml,numpy})
check() {
  run "$python" - <<'END'
import ctypes, decimal, hashlib, io, lzma, sqlite3, ssl, sys
import numpy
from cryptography.fernet import Fernet
from lxml import etree
print('%d.%d' % sys.version_info[:2])
print(numpy.linalg.solve([[3, 1], [1, 2]], [9, 8]).round(6).tolist())
print(etree.fromstring('<a><b n="5"/><b n="6"/></a>').xpath('sum(//b/@n)'))
fernet = Fernet(Fernet.generate_key())
print(fernet.decrypt(fernet.encrypt(b'secret')).decode())
print(sqlite3.connect(':memory:').execute('select 6 * 7').fetchone()[0], bool(ssl.create_default_context()))
print(lzma.decompress(lzma.compress(b'packed')).decode(), hashlib.sha256(b'').hexdigest()[:8], decimal.Decimal(1) / 7)
END
}
expected() {
  echo "${python#python}"
  cat <<'END'
[2.0, 3.0]
11.0
secret
42 True
packed e3b0c442 0.1428571428571428571428571429
END
}
