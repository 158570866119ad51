import { spawn } from 'node:child_process'
import { once } from 'node:events'
import test from 'ava'

test('sizes that are no numbers are refused before a repository is made', async (t) => {
  const program = new URL('../../bench/rewrite.ts', import.meta.url).pathname
  const child = spawn(process.execPath, ['--import=tsx', program, '--files', 'many'])
  const [code] = await once(child, 'close')
  t.is(code, 2)
})
