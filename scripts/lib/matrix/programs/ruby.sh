# shellcheck shell=bash disable=SC2034,SC2154
kind='interpreter, C modules'
ruby=ruby$(per_suite 2.7 3.3 3.3)
packages=(ruby)
entries=("$ruby")
check() {
  run "$ruby" - <<'END'
require 'json'
require 'openssl'
require 'psych'
require 'socket'
require 'zlib'
puts RUBY_VERSION
puts Psych.load("- 5\n- 6\n").sum
puts JSON.generate('a' => [1, nil])
puts OpenSSL::Digest::SHA256.hexdigest('')[0, 8], Zlib.inflate(Zlib.deflate('packed'))
server = TCPServer.new('127.0.0.1', 0)
Thread.new { server.accept.tap { |client| client.puts 'from a thread' }.close }
puts TCPSocket.new('127.0.0.1', server.addr[1]).read
END
}
expected() {
  upstream "$ruby"
  printf '%s\n' 11 '{"a":[1,null]}' e3b0c442 packed 'from a thread'
}
