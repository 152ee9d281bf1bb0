import { AppcError } from '../errors.js'
import type { OpenFile } from '../loader/types.js'
import { type Generation, publish, renewSpare, syncRefs } from '../store/generations.js'
import { type Store, withLinks } from '../store/store.js'
import { Writer } from '../store/writer.js'
import { readCurrent } from './containers.js'
import { encodeGeneration, type GenerationDocument } from './generation.js'
import { checkPlaces, placesOf } from './setting-places.js'
import { checkSettings, type Settings } from './settings.js'

/** What a new generation says of itself, its number and time aside. */
export type Draft = Pick<GenerationDocument, 'by' | 'same' | 'container' | 'settings'>

/** Of changes at once each is made upon the last; so often others may be faster. */
const ATTEMPTS = 100

/**
 * Makes a new generation of a container of what `change` makes of the newest one; null: it is as it is to be, and there is none to make.
 * What is given to the writer becomes durable before the ref leads to it. Returns the number of the newest generation.
 */
export function changeContainer(
  store: Store,
  writer: Writer,
  name: string,
  change: (current: GenerationDocument) => Draft | null,
): number {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const current = readCurrent(store, name)
    const draft = change(current)
    if (draft === null) {
      // What it names already may be missing or damaged: whoever brings the right bytes mends it.
      if (writer.holds) writer.commit()
      // Whoever made the newest one may have been killed before it was on the disk, or before its second copy.
      syncRefs(store)
      withLinks(store, () => renewSpare(store, name))
      return current.number
    }
    const next = commitGeneration(writer, name, current.number + 1, draft)
    if (publish(store, name, next)) return next.number
  }
  throw new AppcError('STORE_UNWRITABLE', `${name} is changed by others all the time`, { hint: 'try again later' })
}

/** The same for its settings alone. */
export function changeSettings(
  store: Store,
  name: string,
  by: 'settings' | 'state',
  change: (settings: Settings, writer: Writer) => Settings,
): number {
  return Writer.use(store, writer =>
    changeContainer(store, writer, name, current => {
      const settings = change(current.settings, writer)
      if (JSON.stringify(settings) === JSON.stringify(current.settings)) return null
      checkPlaces(store, current, placesOf(settings))
      return { by, container: current.container, settings }
    }),
  )
}

/** Makes all that the writer holds durable, for a generation that is then to be published. */
export function commitGeneration(writer: Writer, name: string, number: number, draft: Draft): Generation {
  checkSettings(draft.settings)
  writer.commit()
  const made = new Date().toISOString()
  return encodeGeneration({ schema: 'appc.generation/1', name, number, made, ...draft })
}

export function openBytes(bytes: Buffer): OpenFile {
  return { size: bytes.length, read: (buffer, position) => bytes.copy(buffer, 0, position), close: () => {} }
}
