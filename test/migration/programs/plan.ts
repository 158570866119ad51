// A phase as a program that says much: more than a pipe holds.
import { phase } from '../../../lib/migration/phase.ts'

export default await phase('plan', async ({ console, clock }) => {
  for (let line = 1; line <= 20_000; line++) console.info(`line ${line} ${'.'.repeat(80)}`)
  // A reader that has gone away is noticed only now.
  await clock.sleep(200)
  console.info('the last line')
})
