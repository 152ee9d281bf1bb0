/**
 * The one error of appc. `code` is stable and is what programs test; `message` says what failed, `because` why,
 * `hint` what to do about it. Nothing else in the project is told apart by its text.
 */
export class AppcError extends Error {
  readonly code: ErrorCode
  /** Why it failed: one clause, without a full stop; null when the message says it all. */
  readonly because: string | null
  /** What the reader can do; null when there is nothing. */
  readonly hint: string | null
  /** Where in a file its bytes are wrong; null for an error that is about no place in a file. */
  readonly offset: number | null
  /** What the launcher was doing (native/core/result.h), on what, and the errno that it met; null where it is not about that. */
  readonly step: string | null
  readonly path: string | null
  readonly errno: number | null

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'AppcError'
    this.code = code
    this.because = details.because ?? null
    this.hint = details.hint ?? null
    this.offset = details.offset ?? null
    this.step = details.step ?? null
    this.path = details.path ?? null
    this.errno = details.errno ?? null
  }
}

interface ErrorDetails {
  readonly because?: string | null
  readonly hint?: string | null
  readonly offset?: number
  readonly step?: string | null
  readonly path?: string | null
  readonly errno?: number | null
  readonly cause?: unknown
}

/** Every code there is, each with the kind of trouble it stands for. Codes are never renamed or reused. */
export type ErrorCode =
  | 'ELF_NOT' // not an ELF file at all
  | 'ELF_MALFORMED' // an ELF file whose bytes contradict themselves or run past its end
  | 'FIXTURE_INVALID' // a made-up file or tree (appc/testing) whose description contradicts itself
  | 'ELF_FOREIGN' // a sound ELF file, of another machine or class than asked for
  | 'LOADER_UNKNOWN' // the interpreter is neither glibc's nor musl's, or its strings cannot be read
  | 'CACHE_MALFORMED' // a damaged ld.so.cache where one was asked for explicitly
  | 'FILE_MISSING' // a file or directory that was named does not exist
  | 'FILE_UNREADABLE' // it exists, and reading it failed
  | 'ROOT_INVALID' // --root does not name a directory that can serve as a host
  | 'NAME_INVALID' // a container or entry name with characters that names may not have
  | 'CONTAINER_UNKNOWN' // no container of that name in the store
  | 'CONTAINER_EXISTS' // the name is taken
  | 'CONTAINER_NOT_RUNNING' // no program of it runs
  | 'CONTAINER_AMBIGUOUS' // it runs several times, and one is to be said
  | 'CONTAINER_IN_USE' // programs run with the container's files
  | 'GENERATION_UNKNOWN' // the container has no such generation
  | 'SETTING_INVALID' // a file that cannot be a setting, or a place where none can be
  | 'SETTING_CHANGED' // another change of the setting came before the edited one
  | 'SETTING_UNKNOWN' // the container has no such setting
  | 'STATE_ARCHIVE' // an archive of state that could not be made or unpacked
  | 'ENTRY_UNKNOWN' // the container has no such entry
  | 'ENTRY_INVALID' // what was named as an entry is no program
  | 'LIBRARY_MISSING' // a needed library that nothing supplies
  | 'INVENTORY_INVALID' // an inventory file that is damaged, contradicts itself, or is none
  | 'PACKAGE_DATABASE' // the dpkg database of a root is damaged
  | 'MANIFEST_INVALID' // a manifest that does not satisfy its schema
  | 'STORE_CORRUPT' // stored bytes do not have the digest that they are named by
  | 'STORE_FOREIGN' // a store of somebody else, whom root must not obey
  | 'STORE_VERSION' // a store that another version of appc has made
  | 'STORE_UNWRITABLE' // the store cannot be written
  | 'STORE_GONE' // the store was taken away while it was watched
  | 'WATCH_LIMIT' // the kernel does not watch as many files for one user
  | 'POLICY_INVALID' // a policy that is damaged, or says what no policy can
  | 'PLAN_INVALID' // a plan file that is damaged or of another version
  | 'PLAN_IMPOSSIBLE' // no consistent mix of host and container was found
  | 'PLAN_UNSTABLE' // the host kept changing while it was planned for
  | 'KERNEL_REFUSED' // the kernel refused a namespace, a mount or a watch
  | 'STOP_FAILED' // processes that were killed do not end
  | 'LAUNCH_FAILED' // the launcher could not start the program
  | 'ADDON_MISSING' // the native addon is not built or does not load
  | 'RECORD_FAILED' // a program that was to be recorded could not be watched, or not be started
  | 'OUTPUT_UNWRITABLE' // standard output cannot be written
  | 'USAGE' // a command line that says nothing sensible
  | 'INTERNAL' // a bug in appc
