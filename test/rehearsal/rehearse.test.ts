import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { Journal } from '../../lib/migration/journal.ts'
import { phaseResults } from '../../lib/rehearsal/rehearse.ts'
import { projectFolder } from '../../lib/settings.ts'

function rehearse(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', join(projectFolder, 'scripts/rehearse.ts'), ...args])
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)))
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })))
}

test('a scenario that there is not ends with exit code 2 before anything is started', async (t) => {
  const { code, output } = await rehearse('--scenario', 'D')
  t.is(code, 2)
  t.regex(output, /There is no scenario D\./)
  t.regex(output, /npm run rehearse -- --scenario A/)
})

test('a recovery that there is not ends with exit code 2 before anything is started', async (t) => {
  const { code, output } = await rehearse('--recovery', 'git')
  t.is(code, 2)
  t.regex(output, /There is no recovery git\./)
  t.regex(output, /npm run rehearse -- --recovery gitops/)
})

test('a flag that nobody knows ends with exit code 2', async (t) => {
  const { code, output } = await rehearse('--scenaro', 'A')
  t.is(code, 2)
  t.regex(output, /--scenaro/)
})

test('a phase that was interrupted and taken up again counts with all of its time and its last result', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }))
  const path = join(folder, 'journal.jsonl')
  const journal = Journal.open(path, () => new Date(0))
  journal.append({ type: 'phase', phase: 'backup', state: 'begin' })
  journal.append({ type: 'phase', phase: 'backup', state: 'done', seconds: 5 })
  journal.append({ type: 'phase', phase: 'drain', state: 'begin' })
  journal.append({ type: 'phase', phase: 'drain', state: 'interrupted', seconds: 3 })
  journal.append({ type: 'phase', phase: 'drain', state: 'resume' })
  journal.append({ type: 'phase', phase: 'drain', state: 'done', seconds: 4 })
  journal.close()
  t.deepEqual(phaseResults(path), [
    { name: 'backup', seconds: 5, result: 'done' },
    { name: 'drain', seconds: 7, result: 'done' },
  ])
})
