import { parentPort, workerData } from 'node:worker_threads'
import { scanFiles } from './scan.ts'

const { root, paths, source } = workerData as { root: string; paths: string[]; source: string }
parentPort?.postMessage(scanFiles(root, paths, source))
