import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { allProcesses, processesBelow } from '../../lib/rehearsal/processes.ts'
import { makeWorkFolder, removeWorkFolder } from '../../lib/rehearsal/work-folder.ts'
import { projectFolder } from '../../lib/settings.ts'

interface Rehearsing {
  child: ChildProcess
  output: () => string
  ended: Promise<number | string | null>
}

function rehearse(t: ExecutionContext): Rehearsing {
  const script = join(projectFolder, 'scripts/rehearse.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', script, '--scenario', 'A'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => void child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)))
  const ended = new Promise<number | string | null>((resolve) =>
    child.on('exit', (code, signal) => resolve(code ?? signal)),
  )
  return { child, output: () => output, ended }
}

async function until(condition: () => boolean, what: string, seconds: number): Promise<void> {
  const deadline = Date.now() + seconds * 1000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`)
    await delay(50)
  }
}

/** The practice cluster's folder, by the command line of its machine. */
function folderOf(pid: number): string {
  const machine = processesBelow(pid).find(({ command }) => / --machine \S+\.json/.test(command))
  return dirname(/ --machine (\S+\.json)/.exec(machine?.command ?? '')?.[1] ?? '/nowhere/x')
}

const using = (folder: string) => allProcesses().filter(({ command }) => command.includes(`${folder}/`))

test('Ctrl-C in the middle of a rehearsal ends it with 130 and leaves no process and no folder', async (t) => {
  const { child, output, ended } = rehearse(t)
  await until(() => output().includes('== drain'), 'the drain', 300)
  const pid = child.pid ?? 0
  const folder = folderOf(pid)
  const below = processesBelow(pid).map((one) => one.pid)
  t.true(existsSync(folder), folder)
  t.true(below.length > 5)
  child.kill('SIGINT')
  t.is(await ended, 130, output())
  t.deepEqual(using(folder), [])
  t.false(existsSync(folder))
  const left = allProcesses().filter((one) => below.includes(one.pid))
  t.deepEqual(
    left.map(({ command }) => command),
    [],
  )
})

test('a rehearsal that is killed takes its run and its machines with it, and the next one removes its folder', async (t) => {
  const { child, output, ended } = rehearse(t)
  await until(() => output().includes('== backup'), 'the backup', 300)
  const folder = folderOf(child.pid ?? 0)
  const below = processesBelow(child.pid ?? 0).map((one) => one.pid)
  t.true(existsSync(folder), folder)
  child.kill('SIGKILL')
  await ended
  const left = () => allProcesses().filter(({ pid }) => below.includes(pid))
  await until(() => left().length === 0 && using(folder).length === 0, 'the end of its processes', 40)
  t.true(readdirSync(folder).includes('owner.json'))
  const next = makeWorkFolder(false)
  removeWorkFolder(next)
  t.false(existsSync(folder))
})
