import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

export interface Servers {
  /** http://localhost:PORT and https://localhost:PORT */
  readonly http: string
  readonly https: string
  /** Path of the certificate to trust: nobody else has signed it. */
  readonly certificate: string
  close(): void
}

/** Serves the files of `directory` on this machine alone, with a certificate that is put beside them. */
export async function serve(directory: string): Promise<Servers> {
  const { key, certificate } = makeCertificate(directory)
  const answer: RequestListener = (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    try {
      response.end(readFileSync(join(directory, pathname)))
    } catch {
      response.writeHead(404).end()
    }
  }
  const plain = createServer(answer)
  const tls = createTlsServer({ key: readFileSync(key), cert: readFileSync(certificate) }, answer)
  const [http, https] = await Promise.all([listen(plain), listen(tls)])
  return {
    http: `http://localhost:${http}`,
    https: `https://localhost:${https}`,
    certificate,
    close() {
      for (const server of [plain, tls]) {
        server.close()
        server.closeAllConnections()
      }
    },
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, 'localhost')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

function makeCertificate(directory: string): { readonly key: string; readonly certificate: string } {
  const key = join(directory, 'key.pem')
  const certificate = join(directory, 'certificate.pem')
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', certificate],
    ],
    { stdio: 'ignore' },
  )
  return { key, certificate }
}

/** A bare repository with one commit of one file, for git's dumb protocol: it is nothing but files. Returns the commit. */
export function makeRepository(directory: string, file: string, content: string): string {
  const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@localhost']
  const git = (...args: string[]) =>
    execFileSync('git', ['--git-dir', directory, ...args], {
      encoding: 'utf8',
      // Only for the one that reads it: a pipe that nobody reads breaks.
      ...(args.includes('--stdin') ? { input: content } : { stdio: ['ignore', 'pipe', 'inherit'] }),
      env: { PATH: '/usr/bin:/bin', GIT_CONFIG_NOSYSTEM: '1', HOME: directory },
    }).trim()
  git('init', '--bare', '--quiet', '--initial-branch=main')
  const blob = git('hash-object', '-w', '--stdin')
  git('update-index', '--add', '--cacheinfo', `100644,${blob},${file}`)
  const commit = git(...identity, 'commit-tree', '-m', 'first', git('write-tree'))
  git('update-ref', 'refs/heads/main', commit)
  git('update-server-info')
  return commit
}
