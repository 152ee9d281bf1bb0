import { parentPort } from 'node:worker_threads'
import { type HashJob, hashShare } from '../upkeep/hashing.js'
import { addon } from './addon.js'

/* A thread of hashing-pool.ts, which is started before there is a job: what is loaded here is loaded by then. */
addon()
parentPort?.once('message', (job: HashJob) => {
  for (const hashed of hashShare(addon(), job)) parentPort?.postMessage(hashed)
})
