import t from 'tap'
import { type CampaignOptions, runHistories } from '../campaigns/collector.js'
import { compiled } from '../campaigns/stage.js'
import { temporaryDirectory } from '../support/fixtures.js'

// scripts/check-collector lives ten thousand.
t.setTimeout(300_000)
const holder = compiled('holder', temporaryDirectory())

t.test('random histories of a store: what can be reached stays, and nothing else', async t => {
  const tally = await runHistories(80, 1, { holder, realOnceIn: 8 })
  t.equal(tally.finding, null)
  for (const [what, number] of Object.entries(tally)) t.not(number, 0, what)
})

const NOBODY = { objects: [], secrets: [] }
const NOTHING = { used: [], unseen: [] }

/** Mistakes that the collector might make. */
const mistakes: Readonly<Record<string, CampaignOptions['mistake'] & {}>> = {
  'settings are forgotten': request => ({
    ...request,
    needsOf: (name, generation) => {
      const document = JSON.parse(generation.document)
      const bare = { ...document, settings: { ...document.settings, files: [] } }
      return request.needsOf(name, { ...generation, document: JSON.stringify(bare) })
    },
  }),
  'secrets are forgotten': request => ({
    ...request,
    needsOf: (...of) => ({ ...request.needsOf(...of), secrets: [] }),
  }),
  'generations that are kept are forgotten': (request, world) => ({
    ...request,
    needsOf: (name, generation) =>
      generation.number === world.lines(world.own, name)?.at(-1)?.number ? request.needsOf(name, generation) : NOBODY,
  }),
  'what runs is forgotten': request => ({ ...request, findUsed: () => NOTHING }),
  'nobody looks once more when views are out of reach': request => ({
    ...request,
    findUsed: views => (views[0]?.directory.includes('/quarantine/') ? NOTHING : request.findUsed(views)),
  }),
  'plans are forgotten': request => ({ ...request, plannedViews: new Set() }),
  'what is left of a removed container is forgotten': request => ({ ...request, plans: [] }),
}

for (const [what, mistake] of Object.entries(mistakes))
  t.test(`that ${what} is found`, async t => {
    const { finding, histories } = await runHistories(400, 1, { holder, realOnceIn: 1e9, mistake })
    t.type(finding, 'string')
    t.comment(`in history ${histories}: ${finding?.split('\n')[0]}`)
  })
