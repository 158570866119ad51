#!/usr/bin/env node
// Takes the pictures of docs/screens: a rehearsal of scenario A, typed at a terminal of 80×24.
import { join } from 'node:path'
import { createConsole } from '../lib/migration/console.ts'
import { report } from '../lib/migration/phase.ts'
import { ensureBinaries } from '../lib/rehearsal/binaries.ts'
import { steps } from '../lib/rehearsal/rehearse.ts'
import { openCamera } from '../lib/rehearsal/screens/camera.ts'
import { photographEvening } from '../lib/rehearsal/screens/evening.ts'
import { projectFolder } from '../lib/settings.ts'

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error(signal)))

const console = createConsole()
try {
  const step = steps(console, stop.signal)
  const binaries = await step('Find the binaries', () => ensureBinaries({ progress: console, signal: stop.signal }))
  const camera = await openCamera()
  const folder = join(projectFolder, 'docs/screens')
  try {
    await photographEvening({ binaries, camera, folder, step, signal: stop.signal })
  } finally {
    await camera.close()
  }
  console.info('The pictures are in docs/screens.')
} catch (error) {
  process.exitCode = report(error, console)
}
process.exit()
