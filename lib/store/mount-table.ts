/** A mount, as a line of /proc/PID/mountinfo tells of it (proc(5)). */
export interface Mount {
  readonly id: number
  readonly parent: number
  /** Where it is mounted, as the process sees it. */
  readonly point: string
  /** Here, whatever its file system is. */
  readonly readOnly: boolean
  readonly source: string
  /**
   * An overlay of appc's, or a skeleton in its place (native/core/skeleton.h): its source is `appc`, or `appc:` and what tells of the
   * launch (lib/launch/signature.ts).
   */
  readonly ours: false | 'overlay' | 'skeleton'
}

const KINDS: Readonly<Record<string, Mount['ours']>> = { overlay: 'overlay', tmpfs: 'skeleton' }

export function parseMounts(text: string): readonly Mount[] {
  return text.split('\n').flatMap(line => {
    const fields = line.split(' ')
    const dash = fields.indexOf('-', 6)
    if (dash < 0) return []
    const [id, parent, , , point = '', options = ''] = fields
    const [type = '', source = ''] = fields.slice(dash + 1)
    const ours = /^appc(:|$)/.test(source) && (KINDS[type] ?? false)
    const readOnly = options.split(',').includes('ro')
    const mount = { id: Number(id), parent: Number(parent), point: unescaped(point), source: unescaped(source) }
    return [{ ...mount, readOnly, ours }]
  })
}

/** The kernel writes space, tab, newline, backslash and # as \NNN (fs/proc_namespace.c). */
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
}

/** Those mounts that the way to their mount points leads to; others are covered by what was mounted later, there or above. */
export function visibleMounts(mounts: readonly Mount[]): readonly Mount[] {
  const ids = new Set(mounts.map(({ id }) => id))
  const root = mounts.find(({ point, parent, id }) => point === '/' && (parent === id || !ids.has(parent)))
  if (root === undefined) return []
  const children = new Map(
    mounts.filter(mount => mount !== root).map(mount => [`${mount.parent} ${mount.point}`, mount]),
  )
  /** What lies on top where `point` is come to in `mount`. */
  const topOf = (mount: Mount, point: string): Mount => {
    const above = children.get(`${mount.id} ${point}`)
    return above === undefined ? mount : topOf(above, point)
  }
  return mounts.filter(mount => {
    let seen = topOf(root, '/')
    for (let end = mount.point.indexOf('/', 1); seen !== mount; end = mount.point.indexOf('/', end + 1)) {
      seen = topOf(seen, end < 0 ? mount.point : mount.point.slice(0, end))
      if (end < 0) break
    }
    return seen === mount
  })
}
