import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import test from 'ava'
import { projectFolder } from '../../lib/settings.ts'
import { seeded } from '../seeded.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { environmentOf, git, homelab, map, rewrite } from './homelab.ts'

const now = [...map('192.168.1.54=192.168.1.160'), '--yes']
const files = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`d${at % 7}/f${at}.txt`, `${at}\r\n192.168.1.54`]))
const paths = (count: number) => Object.keys(files(count))

function journalIn(folder: string): string {
  return join(folder, 'output', readdirIn(join(folder, 'output', 'runs')), 'journal.jsonl')
}
const readdirIn = (runs: string) => join('runs', readdirSync(runs).sort().at(-1) ?? '')
const at = (folder: string, path: string) => readFileSync(join(folder, path), 'latin1')

/** As a kill leaves it that comes when these files were done: the journal knows of the rewrite, and not of its end. */
function asKilled(
  done: string,
  folder: string,
  original: Record<string, string>,
  isDone: (path: string) => boolean,
): void {
  cpSync(done, folder, { recursive: true, verbatimSymlinks: true })
  const journal = journalIn(folder)
  const lines = readFileSync(journal, 'utf8').split('\n')
  const begun = lines.findIndex((line) => line.includes('"type":"change"'))
  // The undo file lies in the copied run now.
  const text = lines
    .slice(0, begun + 1)
    .join('\n')
    .replaceAll(done, folder)
  writeFileSync(journal, `${text}\n`)
  const run = join(journal, '..')
  for (const name of readdirSync(run).filter((one) => one.startsWith('rewrite-'))) {
    writeFileSync(join(run, name), readFileSync(join(run, name), 'utf8').replaceAll(done, folder))
  }
  for (const [path, text] of Object.entries(original)) if (!isDone(path)) writeFileSync(join(folder, path), text)
}

const count = 8

test('killed between any two files, the same command goes on, and --undo takes back: the result is the same', async (t) => {
  const original = files(count)
  const done = homelab(original)
  t.is((await rewrite(done, now)).code, 0)
  const changed = Object.fromEntries(paths(count).map((path) => [path, at(done, path)]))
  const random = seeded(54)
  for (let boundary = 0; boundary <= count; boundary++) {
    // Several are written at once, so that they are not done in their order.
    const order = paths(count).toSorted(() => random() - 0.5)
    const isDone = (path: string) => order.indexOf(path) < boundary
    const [on, back] = [join(temporaryFolder('killed'), 'on'), join(temporaryFolder('killed'), 'back')]
    for (const folder of [on, back]) asKilled(done, folder, original, isDone)
    const { code, said } = await rewrite(on, now)
    t.is(code, 0, said)
    for (const [path, text] of Object.entries(changed)) t.is(at(on, path), text, `${boundary}: ${path}`)
    t.is((await rewrite(back, ['--undo'])).code, 0)
    for (const [path, text] of Object.entries(original)) t.is(at(back, path), text, `${boundary}: ${path}`)
    const undone = await rewrite(on, ['--undo'])
    t.is(undone.code, 0)
    t.is(git(on, 'diff'), '', said + undone.said + boundary)
  }
})

const many = 200

function start(folder: string): ChildProcess {
  const script = join(projectFolder, 'scripts/rewrite-ip.ts')
  return spawn(process.execPath, ['--import', 'tsx', script, ...now], {
    env: { ...process.env, ...environmentOf(folder) },
    stdio: 'ignore',
  })
}

const changedIn = (folder: string) => paths(many).filter((path) => at(folder, path).includes('192.168.1.160')).length

for (const seed of [1, 2, 3]) {
  test(`kill -9 in the middle, once and again (seed ${seed}): nothing is left behind, and all is done or undone`, async (t) => {
    const original = files(many)
    const folder = homelab(original)
    const random = seeded(seed)
    for (const share of [random() / 2, 0.5 + random() / 2]) {
      const child = start(folder)
      t.teardown(() => void child.kill('SIGKILL'))
      const ended = once(child, 'exit')
      while (child.exitCode === null && changedIn(folder) < share * many) await setImmediate()
      child.kill('SIGKILL')
      await ended
    }
    const { code, said } = await rewrite(folder, now)
    t.is(code, 0, said)
    t.is(changedIn(folder), many)
    const untracked = git(folder, 'ls-files', '--others', '--exclude-standard')
    t.is(untracked, '')
    t.is((await rewrite(folder, ['--undo'])).code, 0)
    t.is(git(folder, 'status', '--porcelain'), '')
    for (const [path, text] of Object.entries(original)) t.is(at(folder, path), text)
  })
}
