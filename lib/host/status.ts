import { AppcError } from '../errors.js'
import type { Dependency, Package } from './packages.js'

/** States in which a package's files are in place (dpkg(1), PACKAGE STATES). */
const PRESENT = new Set(['installed', 'unpacked', 'half-configured', 'triggers-awaited', 'triggers-pending'])

/** The installed packages of a dpkg status file, sorted by name and architecture. Throws PACKAGE_DATABASE. */
export function parseStatus(text: string): readonly Package[] {
  const packages: Package[] = []
  // Stanzas are parted by blank lines; positions are kept for the messages.
  let line = 1
  for (const stanza of text.split(/\n(?:[ \t]*\n)+/)) {
    const pkg = stanza.trim() === '' ? null : parsePackage(parseStanza(stanza, line), line)
    if (pkg !== null) packages.push(pkg)
    line += stanza.split('\n').length + 1
  }
  return packages.sort((a, b) => compareText(a.name, b.name) || compareText(a.architecture, b.architecture))
}

/** Field names in lower case. Continuation lines are dropped, but for those of the fields that hold dependencies. */
function parseStanza(stanza: string, firstLine: number): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  let current = ''
  for (const [index, line] of stanza.split('\n').entries()) {
    if (line === '') continue
    if (/^[ \t]/.test(line) && current !== '') {
      if (RELATIONS.has(current)) fields.set(current, `${fields.get(current)} ${line.trim()}`)
      continue
    }
    const colon = line.indexOf(':')
    if (colon < 1 || /[ \t]/.test(line.slice(0, colon))) throw damaged(firstLine + index, 'is not a field')
    current = line.slice(0, colon).toLowerCase()
    if (fields.has(current)) throw damaged(firstLine + index, 'gives a field a second time')
    fields.set(current, line.slice(colon + 1).trim())
  }
  return fields
}

const RELATIONS = new Set(['depends', 'pre-depends', 'provides'])

/** null for a package that is not there (removed, its settings may be left; or never fully unpacked). */
function parsePackage(fields: ReadonlyMap<string, string>, line: number): Package | null {
  const name = fields.get('package')
  const state = fields.get('status')?.split(/\s+/)
  if (name === undefined || !PACKAGE_NAME.test(name)) throw damaged(line, 'begins a package without a proper name')
  if (state?.length !== 3) throw damaged(line, `begins ${name}, whose Status is not three words`)
  if (!PRESENT.has(state[2] ?? '')) return null
  const version = fields.get('version')
  const architecture = fields.get('architecture')
  if (!version || !architecture) throw damaged(line, `begins ${name}, which has no version or architecture`)
  // A version follows where it differs from the package's: `gcc-12 (12.2.0-14)`.
  const source = fields.get('source')?.replace(/\s*\(.*/, '')
  const multiArch = fields.get('multi-arch')
  const relations = (field: string): Dependency[][] => parseRelations(fields.get(field) ?? '', name)
  return {
    name,
    version,
    architecture,
    ...(source === undefined || source === name ? {} : { source }),
    ...(multiArch === 'same' || multiArch === 'foreign' || multiArch === 'allowed' ? { multiArch } : {}),
    essential: fields.get('essential') === 'yes',
    depends: [...relations('pre-depends'), ...relations('depends')],
    provides: relations('provides')
      .flat()
      .map(({ name, version }) => ({ name, version })),
  }
}

const PACKAGE_NAME = /^[a-z0-9A-Z][a-z0-9A-Z+.-]*$/
const RELATION = /^([a-z0-9A-Z][a-z0-9A-Z+.-]*)(?::([a-z0-9-]+))?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([^\s()]+)\s*\))?$/

/** `a (>= 1) | b, c:any`: groups that must all hold, in each of them one. */
function parseRelations(text: string, pkg: string): Dependency[][] {
  const groups = text.split(',').map(group => group.trim())
  return groups.flatMap(group => (group === '' ? [] : [group.split('|').map(text => parseRelation(text.trim(), pkg))]))
}

function parseRelation(text: string, pkg: string): Dependency {
  const [, name, architecture, relation, version] = RELATION.exec(text) ?? []
  if (name === undefined)
    throw new AppcError('PACKAGE_DATABASE', `the package database has a relation of ${pkg} that cannot be read`, {
      because: `${JSON.stringify(text)} is not NAME (RELATION VERSION)`,
    })
  return {
    name,
    ...(architecture === undefined ? {} : { architecture }),
    // A single < or > is obsolete and means <= or >= (deb-control(5)).
    relation: relation === '<' ? '<=' : relation === '>' ? '>=' : ((relation ?? null) as Dependency['relation']),
    version: version ?? null,
  }
}

function damaged(line: number, because: string): AppcError {
  return new AppcError('PACKAGE_DATABASE', 'the status file of the package database is damaged', {
    because: `line ${line} ${because}`,
    hint: 'dpkg keeps the one before as var/lib/dpkg/status-old',
  })
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
