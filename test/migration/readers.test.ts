import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { environmentIn, newFolder } from './run-in-folder.ts'

const program = join(dirname(fileURLToPath(import.meta.url)), 'programs', 'plan.ts')

function start(): ReturnType<typeof spawn> {
  return spawn(process.execPath, ['--import', 'tsx', program], {
    env: { ...process.env, ...environmentIn(newFolder()) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

test('nothing of what is said into a pipe is lost, however slow its reader is', async (t) => {
  const child = start()
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'close')
  await once(child.stdout ?? child, 'readable')
  // Long enough for the program to have come to its end, were it not for its reader.
  await delay(1500)
  let said = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk) => {
    said += chunk
  })
  t.deepEqual(await ended, [0, null])
  const lines = said.split('\n').filter((line) => / line \d/.test(line))
  t.is(lines.length, 20_000)
  t.regex(said, /the last line\n[\s\S]*== plan: done/)
})

test('a run whose reader goes away comes to its end all the same', async (t) => {
  const child = start()
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'close')
  await once(child.stdout ?? child, 'readable')
  child.stdout?.destroy()
  t.deepEqual(await ended, [0, null])
})
