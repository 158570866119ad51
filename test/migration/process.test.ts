import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { environmentIn, newFolder } from './run-in-folder.ts'

const program = join(dirname(fileURLToPath(import.meta.url)), 'programs', 'backup.ts')

function start(t: ExecutionContext, folder: string, args: string[] = []) {
  const child = spawn(process.execPath, ['--import', 'tsx', program, ...args], {
    env: { ...process.env, ...environmentIn(folder) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => void child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += String(chunk)))
  return { child, ended: ended(child), output: () => output }
}

function ended(child: ChildProcess): Promise<number | string | null> {
  return new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)))
}

async function until(file: string): Promise<void> {
  const deadline = Date.now() + 30_000
  while (!existsSync(file)) {
    if (Date.now() > deadline) throw new Error(`${file} did not appear within 30 s`)
    await delay(20)
  }
}

test('a second run is told who holds the lock and since when, and changes nothing', async (t) => {
  const folder = newFolder()
  const first = start(t, folder)
  await until(join(folder, 'waiting'))
  const journal = readFileSync(join(folder, 'output/current/journal.jsonl'), 'utf8')
  const second = start(t, folder)
  t.is(await second.ended, 1)
  t.regex(
    second.output(),
    new RegExp(`Another run holds the lock.*process ${first.child.pid}, migrate:backup, since 20`),
  )
  t.is(readFileSync(join(folder, 'output/current/journal.jsonl'), 'utf8'), journal)
  writeFileSync(join(folder, 'go'), '')
  t.is(await first.ended, 0)
  t.deepEqual(readdirSync(join(folder, 'output')).toSorted(), ['current', 'runs'])
})

test('after kill -9 the same command takes the lock over and goes on from the journal', async (t) => {
  const folder = newFolder()
  const first = start(t, folder)
  await until(join(folder, 'waiting'))
  first.child.kill('SIGKILL')
  t.is(await first.ended, 'SIGKILL')
  writeFileSync(join(folder, 'go'), '')
  const second = start(t, folder)
  t.is(await second.ended, 0)
  t.regex(second.output(), /First \(already done\)[\s\S]*Change \(already done\)/)
  t.is(readdirSync(join(folder, 'output/runs')).length, 1)
})

test('Ctrl-C while waiting stops at once, says how to go on, and leaves no lock', async (t) => {
  const folder = newFolder()
  const first = start(t, folder)
  await until(join(folder, 'waiting'))
  first.child.kill('SIGINT')
  t.is(await first.ended, 130)
  t.regex(first.output(), /To go on from here: task migrate:backup/)
  t.deepEqual(readdirSync(join(folder, 'output')).toSorted(), ['current', 'runs'])
  t.regex(readFileSync(join(folder, 'output/current/journal.jsonl'), 'utf8'), /"state":"interrupted"/)
})

test('Ctrl-C during a change lets it end, and stops before the next step', async (t) => {
  const folder = newFolder()
  writeFileSync(join(folder, 'slow'), '')
  const first = start(t, folder)
  await until(join(folder, 'changing'))
  first.child.kill('SIGINT')
  t.is(await first.ended, 130)
  t.true(existsSync(join(folder, 'changed')))
  t.false(existsSync(join(folder, 'waiting')))
  t.regex(first.output(), /the current change is let to its end/)
  t.regex(readFileSync(join(folder, 'output/current/journal.jsonl'), 'utf8'), /"type":"outcome","id":1,"state":"done"/)
})

test('a second Ctrl-C abandons the change, and the journal knows that it was begun', async (t) => {
  const folder = newFolder()
  writeFileSync(join(folder, 'slow'), '')
  const first = start(t, folder)
  await until(join(folder, 'changing'))
  first.child.kill('SIGINT')
  await delay(100)
  first.child.kill('SIGINT')
  t.is(await first.ended, 130)
  t.false(existsSync(join(folder, 'changed')))
  t.regex(first.output(), /abandoned half-way/)
})

test('in a pipe there are plain lines without colours, with --json one event a line', async (t) => {
  const folder = newFolder()
  writeFileSync(join(folder, 'go'), '')
  const plain = start(t, folder)
  t.is(await plain.ended, 0)
  t.regex(plain.output(), / ✔ First \(\d/)
  t.false(plain.output().includes('\u001b['))
  const json = start(t, newFolderWithGo(), ['--json'])
  t.is(await json.ended, 0)
  const events = json
    .output()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).event)
  t.true(events.includes('phase-begin') && events.includes('step-end') && events.includes('phase-end'))
})

function newFolderWithGo(): string {
  const folder = newFolder()
  writeFileSync(join(folder, 'go'), '')
  return folder
}
