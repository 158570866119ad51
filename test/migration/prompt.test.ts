import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { atTerminal } from '../at-terminal.ts'

const program = fileURLToPath(new URL('programs/ask.ts', import.meta.url))
const command = [process.execPath, '--import=tsx', program]

test('a secret is asked for once, and what is typed is never on the screen', async (t) => {
  const { status, screen } = await atTerminal(command, [
    ['One:', 'hunter2-secret\r'],
    ['Two:', 'other-secret\r'],
  ])
  t.is(status, 0, screen)
  t.regex(screen, /lengths 14 14 12/)
  t.notRegex(screen, /hunter2|other-secret/)
})

test('the question is not there before the terminal has stopped to show what is typed', async (t) => {
  for (let round = 0; round < 5; round++) {
    const { screen } = await atTerminal(command, [
      ['One:', 'hunter2-secret\r'],
      ['Two:', 'other-secret\r'],
    ])
    t.notRegex(screen, /hunter2|other-secret/)
  }
})

test('Ctrl-C at the question ends the program, as anywhere else', async (t) => {
  const { status, screen } = await atTerminal(command, [['One:', '\u0003']])
  t.not(status, 0)
  t.regex(screen, /interrupted during: One/)
})

test('without a terminal nobody is asked', (t) => {
  const { stdout } = spawnSync(command[0] ?? '', command.slice(1), { input: 'typed\n' })
  t.is(String(stdout), 'lengths none none none\n')
})

const confirming = [process.execPath, '--import=tsx', fileURLToPath(new URL('programs/confirm.ts', import.meta.url))]

test('y and yes are yes, anything else is no, and so is nothing', async (t) => {
  const { status, screen } = await atTerminal(confirming, [
    ['One? [y/N]', 'y\r'],
    ['Two? [y/N]', 'YES\r'],
    ['Three? [y/N]', '\r'],
    ['Four? [y/N]', 'yesterday\r'],
  ])
  t.is(status, 0, screen)
  t.regex(screen, /answers true true false false/)
})

test('a question that nobody can answer is neither yes nor no, and Ctrl-C ends the program', async (t) => {
  const { stdout } = spawnSync(confirming[0] ?? '', confirming.slice(1), { input: 'y\n' })
  t.is(String(stdout), 'answers    \n')
  const { status, screen } = await atTerminal(confirming, [['One? [y/N]', '\u0003']])
  t.not(status, 0)
  t.regex(screen, /interrupted during: One/)
})
