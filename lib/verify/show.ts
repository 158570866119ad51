import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import type { CheckResult } from './check.ts'
import type { Comparison, NamedFinding } from './comparison.ts'

type Screen = Migration['console']

const columns = ['check', 'what', 'evidence', 'what to do']

/** The three lists that verify ends with, and what else is worth a look. */
export function showComparison(console: Screen, comparison: Comparison): void {
  const { fine, notChecked, healed, brokenBefore, warnings, announced, newlyBroken } = comparison
  if (fine.length > 0) console.info(`Fine: ${fine.join(' · ')}`)
  showNotChecked(console, notChecked)
  if (comparison.appeared.length > 0) console.info(`Appeared since the backup: ${comparison.appeared.join(', ')}`)
  list(console, 'Healed since the backup', healed)
  list(console, 'Broken before too', brokenBefore)
  list(console, 'New, but no error', warnings)
  list(console, 'Lost, as was announced', announced)
  list(console, 'Newly broken', newlyBroken)
  // The lists may be longer than the screen: this is what is left of them on it.
  if (newlyBroken.length === 0)
    console.info(
      `Nothing is newly broken. ${brokenBefore.length} broken before too, ${fine.length} of the checks fine.`,
    )
}

/** @throws OperatorError when anything is newly broken */
export function failOnNewlyBroken(comparison: Comparison): void {
  const { newlyBroken } = comparison
  if (newlyBroken.length === 0) return
  const subjects = newlyBroken.map(({ subject }) => subject)
  throw new OperatorError(
    `${newlyBroken.length} newly broken: ${subjects.slice(0, 8).join(', ')}${subjects.length > 8 ? ', …' : ''}.`,
    {
      means: 'These were well at the time of the backup and are not now.',
      next: 'Each has its way out in the list above. Then: task migrate:verify. If it cannot be mended: task migrate:rollback',
    },
  )
}

/** What preflight has found: errors and warnings with their ways out; checks without findings in one line. */
export function showChecks(console: Screen, results: readonly CheckResult[]): void {
  const fine = results.filter((result) => result.findings.length === 0 && result.notChecked === undefined)
  if (fine.length > 0) console.info(`Fine: ${fine.map((result) => result.name).join(' · ')}`)
  const skipped = results.flatMap(({ name, notChecked: why }) => (why === undefined ? [] : [{ name, why }]))
  showNotChecked(console, skipped)
  const found = results.flatMap(({ name, findings }) => findings.map((finding) => ({ ...finding, check: name })))
  list(
    console,
    'Warnings',
    found.filter((finding) => finding.severity === 'warning'),
  )
  list(
    console,
    'Errors',
    found.filter((finding) => finding.severity === 'error'),
  )
}

/** @throws OperatorError when any check has found an error */
export function failOnErrors(results: readonly CheckResult[]): void {
  const errors = results.flatMap(({ findings }) => findings.filter((finding) => finding.severity === 'error'))
  if (errors.length === 0) return
  throw new OperatorError(
    `${errors.length === 1 ? 'One reason' : `${errors.length} reasons`} why tonight would fail.`,
    {
      means: 'Nothing was changed.',
      next: 'Mend them, then run this again: task migrate:preflight',
    },
  )
}

function showNotChecked(console: Screen, skipped: Comparison['notChecked']): void {
  const rows = skipped.map(({ name, why }) => [name, why])
  if (rows.length > 0) console.table('Not checked', ['check', 'why'], rows)
}

function list(console: Screen, title: string, findings: readonly NamedFinding[]): void {
  if (findings.length === 0) return
  const rows = gathered(findings).map(({ check, subject, evidence, wayOut }) => [check, subject, evidence, wayOut])
  console.table(`${title} (${findings.length})`, columns, rows)
}

/** From so many on, those of one check with one evidence are one row: all names of an ingress that is away say one thing. */
const many = 8

function gathered(findings: readonly NamedFinding[]): NamedFinding[] {
  const alike = new Map<string, NamedFinding[]>()
  for (const finding of findings) {
    const key = `${finding.check}: ${finding.evidence}`
    alike.set(key, [...(alike.get(key) ?? []), finding])
  }
  return [...alike.values()].flatMap((group) => {
    const [first] = group
    if (first === undefined || group.length < many) return group
    const some = group.slice(0, 3).map(({ subject: each }) => each)
    const subject = `${group.length} of them, such as ${some.join(', ')}`
    return [{ ...first, subject }]
  })
}
