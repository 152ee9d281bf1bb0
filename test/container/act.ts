import { removeContainer } from '../../lib/container/containers.js'
import { packContainer } from '../../lib/container/pack.js'
import { system } from '../store/system.js'

/** A process that tests kill: `act.js pack HOME NAME TREE INCLUDE…` or `act.js remove HOME NAME`. Says `done` when it is. */
const [action, home = '', name = '', root = '', ...include] = process.argv.slice(2)
const store = { home, system }
if (action === 'pack') {
  const options = { withEssential: false, withDocumentation: false, withLocales: false }
  packContainer({ root, name, entries: [`/bin/${name}`], include, ...options }, store)
} else removeContainer(store, name)
process.stdout.write('done\n')
