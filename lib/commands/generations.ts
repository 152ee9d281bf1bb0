import { readDocuments } from '../container/containers.js'
import type { GenerationDocument } from '../container/generation.js'
import { openStores } from '../launch/open-store.js'
import { storeOf } from '../store/stores.js'
import { visibleLines } from './report.js'
import { table } from './table.js'

/** `appc generations NAME`: always 0, or an error. */
export function runGenerations(name: string, { json }: { readonly json: boolean }): number {
  const documents = readDocuments(storeOf(openStores(process.env), name), name)
  const lines = json
    ? documents.map(document => JSON.stringify(document))
    : table([HEADER, ...documents.map(asRow(documents.length))])
  process.stdout.write(`${json ? lines.join('\n') : visibleLines(lines)}\n`)
  return 0
}

const HEADER = ['', 'GENERATION', 'MADE', 'BY', 'CONTENT', 'SETTINGS']

function asRow(count: number) {
  return ({ number, made, by, same, container, settings }: GenerationDocument, index: number): readonly string[] => [
    index === count - 1 ? '*' : '',
    String(number),
    made.replace('T', ' ').replace(/\.\d+Z$/, ' UTC'),
    same === undefined ? by : `${by} to ${same}`,
    container.slice(0, 12),
    settingsText(settings),
  ]
}

function settingsText({ files, environment, state }: GenerationDocument['settings']): string {
  const parts = [
    [files.length, 'file', 'files'],
    [Object.keys(environment).length, 'variable', 'variables'],
    [state.length, 'state directory', 'state directories'],
  ] as const
  const said = parts.filter(([count]) => count > 0).map(([count, one, many]) => `${count} ${count === 1 ? one : many}`)
  return said.length === 0 ? '-' : said.join(', ')
}
