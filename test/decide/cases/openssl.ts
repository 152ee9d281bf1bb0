import t from 'tap'
import { library } from '../../container/tree.js'
import { mix, tree, withoutOthers } from '../scenario.js'
import { at, byHand, printing } from './by-hand.js'

/** A pair as OpenSSL's is: each release adds versions to both, and libssl uses those of libcrypto. */
function release(versions: readonly string[], { legacy = true } = {}): Readonly<Record<string, Buffer>> {
  const build = (soname: string, prefix: string, calls: string, linked: Readonly<Record<string, Buffer>>) => {
    const functions = versions.map((_, index) => `int ${prefix}_${index}(void) { return ${index + 1}; }`)
    const script = versions.map((version, index) => {
      const names = index === 0 && prefix === 'crypto' && legacy ? 'crypto_0; legacy' : `${prefix}_${index}`
      return `OPENSSL_${version} { ${names}; }${index === 0 ? '' : ` OPENSSL_${versions[index - 1]}`};`
    })
    const more = prefix === 'crypto' && legacy ? 'int legacy(void) { return 40; }' : ''
    return library(soname, `${functions.join(' ')} ${more} ${calls}`, script.join('\n'), linked)
  }
  const crypto = build('libcrypto.so.3', 'crypto', '', {})
  const used = versions.map((_, index) => `crypto_${index}`)
  const calls = `int ${used.map(name => `${name}(void)`).join(', ')}; int inside(void) { return ${used.map(name => `${name}()`).join(' + ')}; }`
  return { 'libcrypto.so.3': crypto, 'libssl.so.3': build('libssl.so.3', 'ssl', calls, { 'libcrypto.so.3': crypto }) }
}

const newer = release(['3.0.0', '3.2.0', '3.4.0'])
const older = release(['3.0.0'])

/*
 * github.com/ValveSoftware/steam-runtime/issues/825: the host's libcrypto.so.3 was newer by its file's name and took the place of the
 * runtime's, whose libssl.so.3 stayed and needed versions that the host's did not have.
 */
t.test('steam-runtime#825: an app that needs a new libssl, and a libssl that needs a new libcrypto', async t => {
  const home = tree({ '/usr/bin/app': printing(['ssl_1'], newer), ...at(newer) })
  const host = tree(at(older))
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.problems()], [['libcrypto.so.3', 'libssl.so.3'], []])
  t.equal(outcome.why('libssl.so.3'), "versions: app (private) needs OPENSSL_3.2.0; the host's ends at OPENSSL_3.0.0")
  t.equal(
    outcome.why('libcrypto.so.3').split('\n')[0],
    "versions: libssl.so.3 (private) needs OPENSSL_3.4.0; the host's ends at OPENSSL_3.0.0",
  )
  t.match(
    withoutOthers(home, host, ['libssl.so.3']),
    {
      status: 1,
      stderr: /libcrypto\.so\.3: version `OPENSSL_3\.2\.0' not found \(required by \/trial\/libssl\.so\.3\)/,
    },
    'libssl alone',
  )
  t.match(outcome.run(), { status: 0, stdout: '2\n', stderr: '' })
})

t.test('steam-runtime#825: an app that needs a new libcrypto only shares a libssl that is content with it', async t => {
  const home = tree({ '/usr/bin/app': printing(['ssl_0', 'crypto_2'], newer), ...at(newer) })
  const host = tree(at(older))
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.shared, outcome.problems()], [['libcrypto.so.3'], ['libssl.so.3'], []])
  t.match(withoutOthers(home, host), { status: 1, stderr: /version `OPENSSL_3\.4\.0' not found/ })
  t.match(outcome.run(), { status: 0, stdout: '4\n', stderr: '' })
})

t.test('steam-runtime#825, the reverse: the host’s libssl needs what the container’s libcrypto has not', async t => {
  // What the application needs of libcrypto is gone from the host's.
  const home = tree({ '/usr/bin/app': printing(['ssl_0', 'legacy'], older), ...at(older) })
  const host = tree({
    '/usr/bin/tool': printing(['ssl_0'], newer),
    ...at(release(['3.0.0', '3.2.0', '3.4.0'], { legacy: false })),
  })
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.problems()], [['libcrypto.so.3', 'libssl.so.3'], []])
  t.equal(
    outcome.why('libcrypto.so.3').split('\n')[0],
    "symbols: app (private) needs the symbol legacy@OPENSSL_3.0.0, which the host's libcrypto.so.3 does not have",
  )
  t.equal(
    outcome.why('libssl.so.3').split('\n')[0],
    "versions: libssl.so.3 (the host's) needs OPENSSL_3.4.0; the container's ends at OPENSSL_3.0.0",
  )
  const { 'libcrypto.so.3': crypto = Buffer.alloc(0) } = older
  t.match(withoutOthers(home, host), { status: 127, stderr: /undefined symbol: legacy, version OPENSSL_3\.0\.0/ })
  t.match(withoutOthers(home, host, ['libcrypto.so.3']), {
    status: 1,
    stderr: /\/trial\/libcrypto\.so\.3: version `OPENSSL_3\.2\.0' not found \(required by \S+\/libssl\.so\.3\)/,
  })
  t.match(byHand(host, '/usr/bin/tool', { 'libcrypto.so.3': crypto }), {
    status: 1,
    stderr: /OPENSSL_3\.2\.0' not found/,
  })
  t.match(outcome.run(), { status: 0, stdout: '41\n', stderr: '' })
})
