import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import type { Ran, Site } from '../support/site.js'
import type { Knowledge } from './corruption-copies.js'
import { differences, isSame, isWithin, type Looker, type Picture, type Seen } from './corruption-judge.js'
import type { Launchable } from './corruption-store.js'

/** What `appc verify` and `appc repair` tell of one thing, in as far as it matters here. */
export interface Problem {
  readonly path: string
  readonly kind: string
  readonly object: string | null
  readonly origins?: readonly string[]
}

/** Lines of JSON, by their schema. */
export function linesOf<Line>(text: string, schema: string): readonly Line[] {
  const lines = text.split('\n').filter(line => line !== '')
  return lines.map(line => JSON.parse(line)).filter(line => line.schema === schema)
}

/** Of what differs, what is no damage: plans and views that are gone are made again. */
export function damagedPaths(before: Picture, now: Picture, withPlans: boolean): ReadonlySet<string> {
  return new Set(
    [...differences(before, now)].filter(path => {
      const [top = '', container, view] = path.split('/')
      if (top === 'plans' && container !== undefined) return withPlans && now.has(path)
      // A view that lacks its mark is not whole yet: the next launch completes it.
      if (isLastMark(before, path) && !now.has(path)) return false
      return top !== 'views' || container === undefined || view === undefined
        ? now.has(path) || top !== 'views'
        : now.has(`views/${container}/${view}`)
    }),
  )
}

function isLastMark(before: Picture, path: string): boolean {
  const [, view, layer] = /^(views\/[^/]+\/[^/]+)\/([0-9]+)\/[.]appc-host$/.exec(path) ?? []
  return layer !== undefined && !before.has(`${view}/${Number(layer) + 1}`)
}

/**
 * Damaged paths that no problem names: neither them, nor what holds them or lies in them, nor the same file by another name; nor of what is
 * gone all that tells of it.
 */
export function unnamed(
  home: string,
  knowledge: Knowledge,
  damaged: ReadonlySet<string>,
  now: Picture,
  problems: readonly Problem[],
): readonly string[] {
  const before = knowledge.picture
  const named = problems.map(({ path }) => path.slice(home.length + 1))
  const inodes = new Set(named.map(path => fileAt(before, path)?.inode))
  const isNamed = (path: string) =>
    named.some(name => isWithin(path, name) || isWithin(name, path) || isWithin(tellerOf(path), name))
  // Of a ref whose second copy is gone, too, its plan tells, where that is sound.
  const isLostWithPlan = (path: string) => {
    const [, name] = /^(?:refs|spare)\/([^/]+)$/.exec(path) ?? []
    if (name === undefined || [`refs/${name}`, `spare/${name}`].some(each => now.has(each))) return false
    return !now.has(`plans/${name}`) || isNamed(`plans/${name}`)
  }
  return [...damaged].filter(path => {
    if (isNamed(path) || (inodes.has(fileAt(before, path)?.inode) && fileAt(before, path) !== null)) return false
    const needs = knowledge.needs.get(path) ?? []
    const tellers = [...(knowledge.tellers.get(path) ?? [])]
    const isUntold =
      needs.length + tellers.length > 0 &&
      needs.every(({ name, manifest }) => isNamed(manifest) || isNamed(`refs/${name}`)) &&
      tellers.every(name => isNamed(`refs/${name}`))
    return now.has(path) || !(isUntold || isLostWithPlan(path))
  })
}

function fileAt(picture: Picture, path: string): Seen | null {
  const seen = picture.get(path)
  return seen?.kind === 'file' ? seen : null
}

/** The second copy of a ref is told of with it, and what a secret is to be with the secret. */
function tellerOf(path: string): string {
  return path.replace(/^spare\//, 'refs/').replace(/^(secrets\/[^/]*)\.json(\/.*)?$/, '$1')
}

/** Launches a sample; a failure of appc is in JSON on stderr. */
export function launch(site: Site, { name, words }: Launchable): Promise<Ran> {
  const script = 'exec "$0" --error-fd 3 "$@" 3>&2'
  return site.command('/bin/sh', ['-c', script, site.launcher, name, ...words])
}

export type Verdict = { readonly kind: 'right' | 'refused' } | { readonly kind: 'wrong'; readonly text: string }

/** What a launch was: right only when all that it could open has the right bytes. */
export function judgeLaunch(site: Site, before: Picture, looker: Looker, sample: Launchable, ran: Ran): Verdict {
  const { status, stdout, stderr } = ran
  const isLost = ['refs', 'spare'].every(where => isNowhere(join(site.store, where, sample.name)))
  const code = isLost ? 'CONTAINER_UNKNOWN' : 'STORE_CORRUPT'
  if (status === 125 && stdout === '' && codeOf(stderr) === code) return { kind: 'refused' }
  const told = `${sample.name}: exit ${status}, ${JSON.stringify(stdout.slice(0, 300))} ${stderr.slice(0, 600)}`
  if (status !== 0 || stdout !== sample.output || stderr.trim() !== '') return { kind: 'wrong', text: told }
  // The list is not laid over anything.
  const isSeen = (path: string) => isWithin(path, sample.view) && path !== `${sample.view}/list`
  const view = new Map([...before].filter(([path]) => isSeen(path)))
  const now = looker.picture(site.store, sample.view)
  // Whose a file is makes no other of its bytes.
  const differing = [...differences(view, now)].filter(
    path => isSeen(path) && !hasOtherOwner(view.get(path), now.get(path)),
  )
  if (differing.length === 0) return { kind: 'right' }
  return { kind: 'wrong', text: `${told}; in its view differ ${differing.slice(0, 5).join(' ')}` }
}

function isNowhere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) === undefined
}

function hasOtherOwner(was: Seen | undefined, is: Seen | undefined): boolean {
  return was !== undefined && is !== undefined && isSame(was, { ...is, uid: was.uid })
}

function codeOf(text: string): string | null {
  try {
    return (JSON.parse(text) as { readonly code?: string }).code ?? null
  } catch {
    return null
  }
}

export function viewIsThere(now: Picture, { view }: Launchable): boolean {
  return now.has(join(view, 'list'))
}
