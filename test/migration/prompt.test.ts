import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { atTerminal } from '../at-terminal.ts'

const program = fileURLToPath(new URL('programs/ask.ts', import.meta.url))
const command = [process.execPath, '--import=tsx', program]

test('a secret is asked for once, and what is typed is never on the screen', (t) => {
  const { status, screen } = atTerminal(command, [
    ['One:', 'hunter2-secret\r'],
    ['Two:', 'other-secret\r'],
  ])
  t.is(status, 0, screen)
  t.regex(screen, /lengths 14 14 12/)
  t.notRegex(screen, /hunter2|other-secret/)
})

test('Ctrl-C at the question ends the program, as anywhere else', (t) => {
  const { status, screen } = atTerminal(command, [['One:', '\u0003']])
  t.not(status, 0)
  t.regex(screen, /interrupted during: One/)
})

test('without a terminal nobody is asked', (t) => {
  const { stdout } = spawnSync(command[0] ?? '', command.slice(1), { input: 'typed\n' })
  t.is(String(stdout), 'lengths none none none\n')
})
