import { setTimeout as pause } from 'node:timers/promises'
import test from 'ava'
import { Terminal } from '../../../lib/rehearsal/screens/terminal.ts'

const enough = 120

test('a command runs at a terminal of 80×24, with colours, and is answered as if by hand', async (t) => {
  const asks = 'test -t 1 && stty size && printf "Go on? " && read answer && echo "it was $answer" && exit 3'
  const terminal = new Terminal(['sh', '-c', asks], { ...process.env, CI: 'true', NO_COLOR: '1' })
  await terminal.shows('Go on?', enough)
  terminal.type('yes\n')
  t.is(await terminal.ended, 3)
  const [typed, ...shown] = terminal.screen.lines()
  t.regex(typed ?? '', /^\$ sh -c test -t 1/)
  t.deepEqual(shown.slice(-3), ['24 80', 'Go on? yes', 'it was yes'])
})

test('text that is not shown when the command has ended is said, with what is shown instead', async (t) => {
  const terminal = new Terminal(['echo', 'something else'], process.env)
  await t.throwsAsync(terminal.shows('Go on?', enough), { message: /"Go on\?" is not shown:\n.*\nsomething else/ })
})

test('closing the terminal ends what runs there', async (t) => {
  const terminal = new Terminal(['sh', '-c', 'echo "be""gun $$"; exec sleep 600'], process.env)
  t.teardown(() => terminal.close())
  await terminal.shows('begun ', enough)
  const pid = Number(/^begun (\d+)$/m.exec(terminal.screen.lines().join('\n'))?.[1])
  t.true(isAlive(pid))
  terminal.close()
  await terminal.ended
  // It is hung up when its terminal is gone, which nobody tells.
  for (let looks = 0; looks < 600 && isAlive(pid); looks++) await pause(100)
  t.false(isAlive(pid))
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
