# shellcheck shell=bash disable=SC2034,SC2154
kind='interpreter, JIT compiler'
packages=(nodejs)
entries=(node)
check() {
  run node - <<'END'
const crypto = require('crypto')
const http = require('http')
const zlib = require('zlib')
const { Worker } = require('worker_threads')
console.log(process.versions.node)
console.log(crypto.createHash('sha256').update('').digest('hex').slice(0, 8), zlib.gunzipSync(zlib.gzipSync('packed')).toString())
console.log(new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' }).format(1234.5), 'Ä'.normalize('NFD').length)
const server = http.createServer((_, response) => response.end('served')).listen(0, '127.0.0.1', () => {
  http.get({ port: server.address().port, host: '127.0.0.1' }, response => response.on('data', data => {
    console.log(data.toString())
    server.close()
    new Worker("console.log('from a worker')", { eval: true })
  }).on('end', () => response.destroy()))
})
END
}
expected() {
  upstream nodejs
  printf '%s\n' 'e3b0c442 packed' '€1,234.50 2' served 'from a worker'
}
