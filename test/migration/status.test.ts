import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { systemClock } from '../../lib/migration/clock.ts'
import { Journal } from '../../lib/migration/journal.ts'
import { planPath } from '../../lib/migration/planned.ts'
import { showStatus } from '../../lib/migration/status.ts'
import { testMigration } from '../kubernetes/test-migration.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const range = (phase: string, fromSeconds: number, toSeconds: number) => ({ phase, fromSeconds, toSeconds })

/** A run that began at 23:00 and in which backup and drain were done by 23:10; it is 23:12. */
function status(plan?: object): string[] {
  let now = new Date('2026-11-24T23:00:00Z')
  const outputDir = temporaryFolder('status')
  const path = join(outputDir, 'journal.jsonl')
  const journal = Journal.open(path, () => now)
  journal.append({ type: 'run', id: 'RUN', cluster: 'catalyst', scenario: 'A' })
  for (const phase of ['backup', 'drain']) {
    journal.append({ type: 'phase', phase, state: 'begin' })
    now = new Date(now.getTime() + 5 * 60_000)
    journal.append({ type: 'phase', phase, state: 'done', seconds: 300 })
  }
  now = new Date('2026-11-24T23:12:00Z')
  const { migration, lines } = testMigration(
    { OUTPUT_DIR: outputDir },
    { journal, clock: { ...systemClock, now: () => now }, runFolder: outputDir },
  )
  if (plan) {
    mkdirSync(outputDir, { recursive: true })
    writeFileSync(planPath(migration.settings), JSON.stringify(plan))
  }
  showStatus(migration)
  journal.close()
  return lines
}

const plan = {
  at: '2026-11-24T20:00:00Z',
  cluster: 'catalyst',
  scenario: 'A',
  phases: [
    range('backup', 10, 60),
    range('drain', 60, 400),
    range('shutdown', 20, 180),
    range('swap of the hardware', 600, 3600),
  ],
  evening: { fromSeconds: 690, toSeconds: 4240 },
}

test('status holds what has passed against the plan, and says how much of it is still to come', (t) => {
  const lines = status(plan)
  t.true(
    lines.includes('info Elapsed: 12m 0s of 11m 30s – 1h 10m planned; to come: 10m 20s – 1h 3m.'),
    lines.join('\n'),
  )
  t.true(
    lines.some((line) => /"drain","done",.*"5m 0s","1m 0s – 6m 40s"/.test(line)),
    lines.join('\n'),
  )
  t.true(lines.includes('info Next: task migrate:shutdown'))
})

test('without a plan, or with one of another scenario, status says how long it has been', (t) => {
  for (const lines of [status(), status({ ...plan, scenario: 'B' }), status({ from: 'another version' })]) {
    t.true(lines.includes('info Elapsed: 12m 0s. How long it should take, task migrate:plan says.'), lines.join('\n'))
  }
})
