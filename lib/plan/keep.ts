import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import writeFileAtomic from 'write-file-atomic'
import type { Migration } from '../migration/migration.ts'
import { planPath } from '../migration/planned.ts'
import type { Plan } from './plan.ts'

/**
 * Writes the plan into OUTPUT_DIR: plan.json, which migrate:status holds the evening against, and plan.html, to be printed.
 * Neither holds a secret.
 */
export async function keepPlan({ settings, console, dryRun }: Migration, plan: Plan): Promise<void> {
  const page = join(settings.outputDir, 'plan.html')
  if (dryRun) return console.change(`Write ${planPath(settings)} and ${page}`, 'would be made')
  const { renderPlan } = await import('./page.ts')
  await mkdir(settings.outputDir, { recursive: true, mode: 0o700 })
  await writeFileAtomic(planPath(settings), `${JSON.stringify(plan, null, 2)}\n`, { mode: 0o600 })
  await writeFileAtomic(page, await renderPlan(plan), { mode: 0o600 })
  console.info(`To print for the evening: ${page}`)
}
