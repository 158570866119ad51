// A phase as a program, for tests that need a process of its own: it says where it is on stdout and obeys the test's files.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { phase } from '../../../lib/migration/phase.ts'

export default await phase('backup', async (migration) => {
  const folder = migration.settings.homelabDir
  await migration.step('First', async () => {
    writeFileSync(join(folder, 'first'), '')
  })
  await migration.step('Change', async () => {
    await migration.change('write the thing', {
      apply: async () => {
        writeFileSync(join(folder, 'changing'), '')
        await migration.clock.sleep(existsSync(join(folder, 'slow')) ? 1000 : 0)
        writeFileSync(join(folder, 'changed'), '')
      },
    })
  })
  await migration.step('Wait', async () => {
    writeFileSync(join(folder, 'waiting'), '')
    await migration.wait({
      name: 'the file go is there',
      timeoutSeconds: 60,
      everyMs: 50,
      probe: async () =>
        existsSync(join(folder, 'go')) ? { met: true, value: undefined } : { met: false, saw: 'no file' },
    })
  })
})
