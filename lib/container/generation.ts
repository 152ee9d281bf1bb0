import * as v from 'valibot'
import { AppcError } from '../errors.js'
import type { Generation } from '../store/generations.js'
import { NO_SETTINGS, type Settings, settingsSchema } from './settings.js'

/** What made a generation. */
export const ORIGINS = ['pack', 'update', 'settings', 'state', 'rollback', 'copy', 'upgrade'] as const

/**
 * One state of a named container: what it holds, and how it is set up here. The container's ref is the list of them, one in a line. None
 * ever changes; another state is another generation.
 */
export interface GenerationDocument {
  readonly schema: 'appc.generation/1'
  readonly name: string
  readonly number: number
  /** When, in UTC (ISO 8601). */
  readonly made: string
  readonly by: (typeof ORIGINS)[number]
  /** Of a rollback: the generation that it returns to. */
  readonly same?: number
  /** The sha256 of the manifest. */
  readonly container: string
  readonly settings: Settings
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(1))

const schema = v.strictObject({
  schema: v.literal('appc.generation/1'),
  name: v.string(),
  number: count,
  made: v.pipe(v.string(), v.isoTimestamp()),
  by: v.picklist(ORIGINS),
  same: v.exactOptional(count),
  container: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  settings: v.exactOptional(settingsSchema, NO_SETTINGS),
})

export function encodeGeneration(document: GenerationDocument): Generation {
  const { number, container } = document
  return { number, container, document: JSON.stringify(document) }
}

/** Throws STORE_CORRUPT for what this appc cannot have written, and for the document of another container. */
export function decodeGeneration(name: string, { document }: Generation): GenerationDocument {
  const { output, issues } = v.safeParse(schema, JSON.parse(document), { abortEarly: true })
  if (issues !== undefined) throw invalid(name, `${v.getDotPath(issues[0]) ?? 'it'}: ${issues[0].message}`)
  if (output.name !== name) throw invalid(name, `it is one of ${output.name}`)
  return output as GenerationDocument
}

function invalid(name: string, because: string): AppcError {
  return new AppcError('STORE_CORRUPT', `a generation of ${name} is not valid`, {
    because,
    hint: `it was made by another version of appc: appc remove ${name}, and pack it again`,
  })
}
