import type { FactsCache } from '../loader/facts-cache.js'
import { base, isOutOfReach, join, resolvePath } from '../loader/file-system.js'
import type { FileSystem } from '../loader/types.js'
import { readText } from './text.js'

/** Where drivers announce themselves to the libraries that load them: JSON with `library_path`, or for OpenCL a name alone. */
const ANNOUNCED = [
  '/usr/share/vulkan/icd.d',
  '/etc/vulkan/icd.d',
  '/usr/share/glvnd/egl_vendor.d',
  '/etc/glvnd/egl_vendor.d',
  '/usr/share/egl/egl_external_platform.d',
  '/etc/egl/egl_external_platform.d',
  '/etc/OpenCL/vendors',
]

/**
 * The user's half of the kernel's drivers, by soname, each with what tells it: what a file of the driver announces, and what bears
 * the version of a kernel module that is loaded (`libcuda.so.535.183.01`). A version alone says little, as many have one like
 * 1.0: it must be that of an announced library too, or of one that is named after the module. `modules`: name → version.
 */
export function driversOf(
  fs: FileSystem,
  directories: readonly string[],
  facts: FactsCache,
  modules: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  const announced = ANNOUNCED.flatMap(directory => announcements(fs, directory))
  for (const { library, by } of announced) {
    const path = library.startsWith('/') ? library : firstThat(fs, directories, library)
    const name = (path && sonameAt(fs, path, facts)) ?? base(library)
    found.set(name, `${by} names it as a driver`)
  }
  const names = directories.flatMap(directory => listed(fs, directory).map(name => ({ directory, name })))
  for (const [module, version] of modules) {
    const bearing = names.filter(({ name }) => name.endsWith(`.so.${version}`))
    const isItsOwn = ({ directory, name }: { directory: string; name: string }) => {
      const soname = sonameAt(fs, join(directory, name), facts) ?? name
      // What a soname ends in is the number of its interface and no release, though a module may be of version 1 too.
      return name.includes(module) || (name !== soname && found.has(soname))
    }
    if (!bearing.some(isItsOwn)) continue
    for (const { directory, name } of bearing) {
      const soname = sonameAt(fs, join(directory, name), facts) ?? name
      found.set(soname, `it goes with the kernel's module ${module} ${version}`)
    }
  }
  return found
}

function announcements(fs: FileSystem, directory: string): readonly { library: string; by: string }[] {
  return listed(fs, directory).flatMap(name => {
    const by = join(directory, name)
    // A link in a circle announces nothing.
    const path = unlessClosed(() => resolvePath(fs, by).path)
    const text = (path !== null && fs.lstat(path)?.kind === 'file' && readText(fs, path)) || ''
    const library = name.endsWith('.json') ? libraryIn(text) : name.endsWith('.icd') ? text.trim() : null
    return library === null || library === '' || /\p{Cc}/u.test(library) ? [] : [{ library, by }]
  })
}

/** `{"ICD": {"library_path": "libGLX_nvidia.so.0"}}`: the key above differs. What is no such JSON announces nothing. */
function libraryIn(text: string): string | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  for (const inner of typeof value === 'object' && value !== null ? Object.values(value) : []) {
    const path = typeof inner === 'object' && inner !== null && 'library_path' in inner ? inner.library_path : null
    if (typeof path === 'string') return path
  }
  return null
}

function firstThat(fs: FileSystem, directories: readonly string[], name: string): string | null {
  const paths = directories.map(directory => join(directory, name))
  return paths.find(path => unlessClosed(() => resolvePath(fs, path).path) !== null) ?? null
}

function sonameAt(fs: FileSystem, path: string, facts: FactsCache): string | null {
  return unlessClosed(() => {
    const real = resolvePath(fs, path).path
    const stat = real === null ? null : fs.lstat(real)
    return real === null || stat?.kind !== 'file' ? null : (facts.inspect(fs, real, stat).facts?.soname ?? null)
  })
}

function listed(fs: FileSystem, directory: string): readonly string[] {
  return (
    unlessClosed(() => {
      const path = resolvePath(fs, directory).path
      return path === null ? null : fs.readdir(path)
    }) ?? []
  )
}

function unlessClosed<T>(look: () => T): T | null {
  try {
    return look()
  } catch (error) {
    if (isOutOfReach(error)) return null
    throw error
  }
}
