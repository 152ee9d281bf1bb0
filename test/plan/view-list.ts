import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { buildView } from '../../lib/plan/view.js'
import { listedLayers, listOf, nameOfView, readViewList } from '../../lib/plan/view-list.js'
import { VIEW_LIST } from '../../lib/upkeep/users.js'
import { fresh, newStore } from '../decide/scenario.js'
import { fill, layersFor } from './layers.js'

/** A view with nothing but this list. */
function listed(list: string): string {
  const view = join(fresh(), nameOfView(list))
  mkdirSync(view)
  writeFileSync(join(view, VIEW_LIST), list)
  return view
}

t.test('what belongs into a view can be read there', async t => {
  const store = newStore()
  fill(store)
  const view = dirname(buildView(store, addon(), 'c', layersFor()).layers[0]?.directory as string)
  t.equal(readFileSync(join(view, VIEW_LIST), 'utf8'), listOf(layersFor()))
  t.same(readViewList(view), listedLayers(layersFor()))
})

t.test('names with anything in them', async t => {
  const [layer] = layersFor()
  if (layer === undefined) throw new Error('a layer')
  const nodes = new Map([
    ['a\nb', { kind: 'whiteout' } as const],
    ['"', { kind: 'symlink', target: '../\n/ä' } as const],
  ])
  const layers = [{ ...layer, nodes }]
  t.same(readViewList(listed(listOf(layers))), listedLayers(layers))
})

const top = '["/usr",["",{"mode":493,"owner":null}]]'
const sha256 = 'ab'.repeat(32)

t.test('a list that is named by its digest, and yet is none', async t => {
  t.ok(readViewList(listed(`${top}\n["a",["file","${sha256}",true]]\n`)))
  const wrong: Readonly<Record<string, string>> = {
    'no JSON': 'x\n',
    'no layer': '["a",["whiteout"]]\n',
    'a layer without a top': '["/usr"]\n',
    'a relative target': '["usr",["",{"mode":493,"owner":null}]]\n',
    'a mode': '["/usr",["",{"mode":65536,"owner":null}]]\n',
    'an owner': '["/usr",["",{"mode":493,"owner":{"uid":-1,"gid":0}}]]\n',
    'a way out': `${top}\n["../a",["whiteout"]]\n`,
    'a way out by a directory': '["/usr",["",{"mode":493,"owner":null}],["..",{"mode":493,"owner":null}]]\n',
    'an absolute way': `${top}\n["a//b",["whiteout"]]\n`,
    'a NUL': `${top}\n["a\\u0000",["whiteout"]]\n`,
    'the mark': `${top}\n[".appc-host",["symlink","/"]]\n`,
    'no directory above': `${top}\n["a/b",["whiteout"]]\n`,
    'no digest': `${top}\n["a",["file","../../x",false]]\n`,
    'an unknown kind': `${top}\n["a",["device"]]\n`,
    'an empty link': `${top}\n["a",["symlink",""]]\n`,
  }
  for (const [what, list] of Object.entries(wrong))
    t.throws(() => readViewList(listed(list)), { code: 'STORE_CORRUPT' }, what)
})
