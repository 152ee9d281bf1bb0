import { addon } from '../../lib/launch/addon.js'
import { buildView } from '../../lib/plan/view.js'
import { withLock } from '../../lib/store/store.js'
import { layersFor } from './layers.js'

/** A process of its own, to be started several times at once or to be killed: builds the view of test/plan/view.ts. */
const [home = ''] = process.argv.slice(2)
const store = { home, system: addon() }
const [layer] = withLock(store, 'shared', () => buildView(store, addon(), 'c', layersFor())).layers
process.stdout.write(`${layer?.directory}\n`)
