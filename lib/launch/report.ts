import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { hasCode } from '../store/writing.js'
import { addon } from './addon.js'

/**
 * The ends of a pipe by which a launcher reports. Not one of child_process's own: those are pairs of sockets, made before the child is,
 * and take a tenth of a launch.
 */
export interface ReportPipe {
  readonly ours: number
  readonly theirs: number
}

/** null where there are no descriptors left. */
export function makeReportPipe(): ReportPipe | null {
  try {
    const [ours, theirs] = addon().makePipe()
    return { ours, theirs }
  } catch (error) {
    if (hasCode(error, 'EMFILE', 'ENFILE')) return null
    throw error
  }
}

/** What a launcher reports, until the descriptor is closed: by the program's execution, or by its end. */
export class Report {
  readonly #done: (text: string) => void
  /** Ours to read and to close, as long as no stream does. */
  #fd: number | null = null
  #text = ''
  #timer: NodeJS.Timeout | undefined

  /** `source` is the pipe's end, or a stream of child_process's, which is read at once. */
  constructor(source: number | Readable, done: (text: string) => void) {
    this.#done = done
    if (typeof source !== 'number') this.#readOn(source)
    else {
      this.#fd = source
      // Of what runs for long the descriptor is not kept, nor a launcher waits for long with a report that fills the pipe.
      this.#timer = setTimeout(() => this.watch(), 50).unref()
    }
  }

  /** Tells what there is as soon as there is no more to come. */
  watch(): void {
    if (this.#fd === null) return
    const fd = this.#fd
    this.#letGo()
    this.#readOn(new Socket({ fd, readable: true, writable: false }))
  }

  /** Once the launcher, or what it has become, has ended: mostly all is there. */
  conclude(): void {
    if (this.#fd === null) return
    const text = addon().drainPipe(this.#fd)
    if (text === null) {
      // Somebody holds the other end still.
      this.watch()
      return
    }
    this.#letGo()
    this.#done(text)
  }

  /** Of a launcher that was not started. */
  close(): void {
    if (this.#fd !== null) closeSync(this.#fd)
    this.#letGo()
  }

  #letGo(): void {
    this.#fd = null
    clearTimeout(this.#timer)
  }

  #readOn(stream: Readable): void {
    const end = () => this.#tell()
    // An error, as a reset, is an end too.
    stream.setEncoding('utf8').on('end', end).on('error', end)
    stream.on('data', part => {
      this.#text += part
    })
  }

  #tell(): void {
    this.#done(this.#text)
  }
}
