import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { projectFolder } from '../../lib/settings.ts'
import { environmentIn, newFolder, runIn } from '../migration/run-in-folder.ts'

test('the report is written where --out says', async (t) => {
  const folder = newFolder()
  await runIn(folder, 'backup', async () => undefined)
  const file = join(folder, 'elsewhere.html')
  const program = join(projectFolder, 'scripts/report.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', program, '--out', file], {
    env: { ...process.env, ...environmentIn(folder) },
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += String(chunk)))
  t.deepEqual(await once(child, 'close'), [0, null], said)
  t.regex(said, new RegExp(`The report: ${file}`))
  t.regex(readFileSync(file, 'utf8'), /<title>Migration of catalyst-cluster/)
  t.false(existsSync(join(folder, 'output/current/report.html')))
})
