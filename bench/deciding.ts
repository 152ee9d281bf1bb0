import { isExecutable, readContainer } from '../lib/container/containers.js'
import type { PackedRegular } from '../lib/container/types.js'
import { decide } from '../lib/decide/decide.js'
import { hostAt } from '../lib/launch/machine.js'
import { openStore } from '../lib/launch/open-store.js'
import { openHostFile } from '../lib/loader/root-file-system.js'
import { objectPath } from '../lib/store/objects.js'

/*
 * deciding NAME ROOT RUNS: decides for a container in the store, on the host at ROOT, again and again in one process. What is known of
 * the host's files and packages is remembered; the files are looked at each time. Prints a line of JSON.
 */
const [name = '', root = '/', runs = '20'] = process.argv.slice(2)
const store = openStore(process.env)
const { manifest } = readContainer(store, name)
const host = hostAt(root, {})
const open = (file: PackedRegular) => openHostFile(objectPath(store, file.sha256, isExecutable(file.mode)))
const times: number[] = []
let decision = decide(manifest, host, open)
for (let run = 0; run < Number(runs); run++) {
  const began = performance.now()
  decision = decide(manifest, host, open)
  times.push(performance.now() - began)
}
times.sort((a, b) => a - b)
const chosen = (choice: string) => decision.libraries.filter(library => library.choice === choice).length
console.log(
  JSON.stringify({
    libraries: decision.libraries.length,
    shared: chosen('shared'),
    private: chosen('private'),
    best: Math.round(times[0] as number),
    median: Math.round(times[times.length >> 1] as number),
  }),
)
