import { parentPort, workerData } from 'node:worker_threads'
import { type HashJob, hashShare } from '../upkeep/hashing.js'
import { addon } from './addon.js'

/* A thread of hashing-pool.ts. */
for (const hashed of hashShare(addon(), workerData as HashJob)) parentPort?.postMessage(hashed)
