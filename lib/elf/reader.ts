import { DT, Dynamic } from './dynamic.js'
import { type Header, openElf, PT_GNU_STACK, PT_INTERP, PT_TLS } from './header.js'
import { readNotes } from './notes.js'
import type { ElfFacts, OpenFile, VersionDefinition } from './types.js'
import { readDefinitions, readNeeds } from './versions.js'
import type { Window } from './window.js'

const PF_X = 1
const NONE: readonly string[] = []

/**
 * The facts of an ELF file of either class and byte order. Throws ELF_NOT where it is none, ELF_MALFORMED (with the
 * offset in the message) where its headers contradict themselves or run past its end. Does not close the file.
 */
export function readElf(file: OpenFile): ElfFacts {
  const { window, header } = openElf(file)
  return readFacts(window, header, Dynamic.read(window, header))
}

/** The same for whoever read the header and the dynamic section before. */
export function readFacts(window: Window, header: Header, dynamic: Dynamic | null): ElfFacts {
  const strings = (tag: number, what: string) => (dynamic === null ? [] : stringsOf(dynamic, tag, what))
  const string = (tag: number, what: string) => strings(tag, what).at(-1) ?? null
  const stack = header.segments.find(({ type }) => type === PT_GNU_STACK)
  const notes = readNotes(window, header)
  return {
    class: header.class,
    data: header.data,
    machine: header.machine,
    osabi: header.osabi,
    type: header.type === 2 ? 'exec' : header.type === 3 ? 'dyn' : 'other',
    interpreter: readInterpreter(window, header),
    dynamic: dynamic !== null,
    soname: string(DT.SONAME, 'soname'),
    needed: strings(DT.NEEDED, 'needed name'),
    rpath: string(DT.RPATH, 'rpath'),
    runpath: string(DT.RUNPATH, 'runpath'),
    auxiliaries: strings(DT.AUXILIARY, 'auxiliary name'),
    filters: strings(DT.FILTER, 'filter name'),
    audits: [...strings(DT.AUDIT, 'audit name'), ...strings(DT.DEPAUDIT, 'audit name')],
    flags: dynamic?.value(DT.FLAGS) ?? 0,
    flags1: dynamic?.value(DT.FLAGS_1) ?? 0,
    verdefs: dynamic === null ? [] : definitionsOf(dynamic),
    verneeds: dynamic === null ? [] : readNeeds(dynamic).map(({ file, version, weak }) => ({ file, version, weak })),
    buildId: notes.buildId,
    abiTag: notes.abiTag,
    dlopen: notes.dlopen,
    packageMetadata: notes.packageMetadata,
    unreadNotes: notes.unreadNotes,
    executableStack: stack === undefined || (stack.flags & PF_X) !== 0,
    tls: header.segments.some(({ type }) => type === PT_TLS),
  }
}

function readInterpreter(window: Window, header: Header): string | null {
  const segment = header.segments.find(({ type }) => type === PT_INTERP)
  if (segment === undefined) return null
  return window.string(segment.offset, segment.offset + segment.fileSize, 'interpreter')
}

function stringsOf(dynamic: Dynamic, tag: number, what: string): readonly string[] {
  const places = dynamic.values(tag)
  return places.length === 0 ? NONE : places.map(at => dynamic.string(at, what))
}

function definitionsOf(dynamic: Dynamic): readonly VersionDefinition[] {
  return readDefinitions(dynamic)
    .filter(({ base }) => !base)
    .map(({ name, weak }) => ({ name, weak }))
}
