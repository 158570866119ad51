import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import writeFileAtomic from 'write-file-atomic'
import * as z from 'zod'
import type { Migration } from '../migration/migration.ts'
import { redacted } from '../migration/redact.ts'
import { baselineSchema } from './baseline.ts'
import type { CheckResult } from './check.ts'
import type { Seen } from './look.ts'

const finding = z.object({ check: z.string(), subject: z.string(), evidence: z.string(), wayOut: z.string() })
const findings = z.array(finding)

const verdictSchema = z.object({
  at: z.string(),
  newlyBroken: findings,
  brokenBefore: findings,
  healed: findings,
  warnings: findings,
  announced: findings,
  appeared: z.array(z.string()).default([]),
  fine: z.array(z.string()),
  now: baselineSchema,
})

const preflightSchema = z.object({
  at: z.string(),
  errors: findings,
  warnings: findings,
  fine: z.array(z.string()),
})

/** What verify has come to, and the state of the cluster that it rests on. Plain JSON without secrets. */
export type Verdict = z.output<typeof verdictSchema>
/** What preflight has found. */
export type PreflightVerdict = z.output<typeof preflightSchema>

const verdictFile = 'verdict.json'
const preflightFile = 'preflight.json'

/** Keeps the newest comparison in the run's folder, for the report; without a run there is no folder to keep it in. */
export async function keepVerdict(migration: Migration, verdict: Seen): Promise<void> {
  const { newlyBroken, brokenBefore, healed, warnings, announced, appeared, fine, now } = verdict
  const lists = { newlyBroken, brokenBefore, healed, warnings, announced, appeared: [...appeared], fine: [...fine] }
  await keep(migration, verdictFile, { at: now.takenAt, ...lists, now })
}

/** Keeps what preflight has found in the run's folder; without a run there is none. */
export async function keepPreflight(migration: Migration, results: readonly CheckResult[]): Promise<void> {
  const named = results.flatMap(({ name, findings: own }) => own.map((each) => ({ ...each, check: name })))
  await keep(migration, preflightFile, {
    at: migration.clock.now().toISOString(),
    errors: named.filter(({ severity }) => severity === 'error'),
    warnings: named.filter(({ severity }) => severity === 'warning'),
    fine: results.filter(({ findings: own, notChecked }) => own.length === 0 && !notChecked).map(({ name }) => name),
  })
}

/** @param runFolder of the run; null when it was not verified, or another version wrote it */
export function readVerdict(runFolder: string): Promise<Verdict | null> {
  return read(join(runFolder, verdictFile), verdictSchema)
}

/** As readVerdict, of preflight. */
export function readPreflight(runFolder: string): Promise<PreflightVerdict | null> {
  return read(join(runFolder, preflightFile), preflightSchema)
}

/** Findings under one heading, in the order in which they matter. */
export interface VerdictList {
  readonly title: string
  readonly bad: boolean
  readonly findings: Verdict['newlyBroken']
}

/** What both have found, list by list. */
export function listsOf(verdict: Verdict | PreflightVerdict): VerdictList[] {
  const list = (title: string, own: VerdictList['findings'], bad = false) => ({ title, bad, findings: own })
  if ('errors' in verdict) return [list('Errors', verdict.errors, true), list('Warnings', verdict.warnings)]
  const { newlyBroken, warnings, announced, brokenBefore, healed, appeared } = verdict
  return [
    list('Newly broken', newlyBroken, true),
    list('New, but no error', warnings),
    list('Lost, as was announced', announced),
    list('Broken before too', brokenBefore),
    list('Healed since the backup', healed),
    list('Appeared since the backup', appeared.map(asFinding)),
  ]
}

function asFinding(subject: string): VerdictList['findings'][number] {
  return { check: 'Present', subject, evidence: 'it was not there at the time of the backup', wayOut: '' }
}

async function keep({ runFolder, dryRun }: Migration, name: string, content: unknown): Promise<void> {
  if (runFolder === '' || dryRun) return
  await writeFileAtomic(join(runFolder, name), `${JSON.stringify(redacted(content))}\n`, { mode: 0o600 })
}

async function read<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch {
    return null
  }
}
