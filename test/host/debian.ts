import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export interface DebianPackage {
  /** Fields of the control file besides Package, Version and so on, which have defaults. */
  readonly control: Readonly<Record<string, string>>
  /** By path: a file's text or bytes, or a link. Files below a bin directory are executable. */
  readonly files: Readonly<Record<string, string | Buffer | { readonly link: string }>>
}

/** A root with these packages installed by the real dpkg. `merged` roots have /lib, /bin … as links into /usr. */
export function installPackages(root: string, packages: readonly DebianPackage[], merged = true): string {
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    mkdirSync(join(root, merged ? 'usr' : '', name), { recursive: true })
    if (merged) symlinkSync(`usr/${name}`, join(root, name))
  }
  const database = join(root, 'var/lib/dpkg')
  mkdirSync(join(database, 'info'), { recursive: true })
  mkdirSync(join(database, 'updates'))
  writeFileSync(join(database, 'status'), '')
  const work = mkdtempSync(join(tmpdir(), 'appc-debs-'))
  try {
    for (const [index, pkg] of packages.entries()) build(pkg, join(work, String(index)))
    const debs = readdirSync(work)
      .filter(name => name.endsWith('.deb'))
      .map(name => join(work, name))
    // Without being root, without ldconfig in PATH, with whatever relations the test is about, and without waiting for the disk.
    const force = '--force-not-root,bad-path,depends,conflicts,overwrite,architecture,unsafe-io'
    execFileSync('dpkg', [`--root=${root}`, '--log=/dev/null', force, '--no-triggers', '-i', ...debs], {
      stdio: 'pipe',
    })
  } finally {
    rmSync(work, { recursive: true })
  }
  return root
}

function build({ control, files }: DebianPackage, directory: string): void {
  for (const [path, content] of Object.entries(files)) {
    const full = join(directory, path)
    mkdirSync(dirname(full), { recursive: true })
    if (typeof content !== 'string' && 'link' in content) symlinkSync(content.link, full)
    else {
      writeFileSync(full, content)
      chmodSync(full, /\/s?bin\//.test(path) ? 0o755 : 0o644)
    }
  }
  mkdirSync(join(directory, 'DEBIAN'), { recursive: true })
  const fields = {
    Version: '1.0',
    Architecture: 'amd64',
    Maintainer: 'nobody <nobody@localhost>',
    Description: 'test',
    ...control,
  }
  const text = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`)
  writeFileSync(join(directory, 'DEBIAN/control'), text.join(''))
  execFileSync('dpkg-deb', ['-Znone', '--build', directory, `${directory}.deb`], { stdio: 'pipe' })
}
