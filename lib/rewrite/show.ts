import type { Migration } from '../migration/migration.ts'
import { diffOf } from './diff.ts'
import type { Plan, PlannedFile } from './plan.ts'
import { readWhole, shown } from './repository-files.ts'

/** Nobody reads more on a screen. */
const mostLines = 3000
const mostNames = 20

/** The plan as a table, one file a line, and as a unified diff; then what is not looked at, and what only looks like an address. */
export function showRewrite(migration: Migration, root: string, plan: Plan): void {
  const { console } = migration
  if (plan.files.length > 0) {
    const place = ({ class: kind, path }: PlannedFile) => `${kind}\0${path}`
    const sorted = plan.files.toSorted((a, b) => (place(a) < place(b) ? -1 : 1))
    console.table('Where the old address is', ['class', 'file', 'places', 'spelled', 'what'], sorted.map(rowOf))
    showDiff(migration, root, sorted)
  }
  for (const [path, why] of plan.unreadable)
    console.warn(`${shown(path as never)} could not be read (${why}), so it is not known what it holds.`)
  const names = [...new Set(plan.lookalikes.map(({ path, name }) => `${name} in ${shown(path)}`))]
  if (names.length === 0) return
  console.info(
    `Left alone, for it is a part of something longer: ${names.slice(0, mostNames).join(', ')}${more(names.length)}`,
  )
}

/** What was passed over as a whole, by name. */
export function showPassedOver(
  { console }: Migration,
  submodules: readonly string[],
  renamed: readonly string[],
): void {
  if (submodules.length > 0) {
    console.info(`Repositories of their own, left alone: ${submodules.map((path) => shown(path as never)).join(', ')}`)
  }
  if (renamed.length > 0) {
    console.warn(
      `Files are not renamed, nor what refers to them: ${renamed
        .slice(0, mostNames)
        .map((name) => shown(name as never))
        .join(', ')}${more(renamed.length)}`,
    )
  }
}

function more(count: number): string {
  return count > mostNames ? ` and ${count - mostNames} more` : ''
}

function rowOf({ path, class: kind, spellings, edits, left }: PlannedFile): string[] {
  const places = [...spellings.values()].reduce((sum, count) => sum + count, 0)
  const what = [...(edits.length > 0 ? ['changed'] : []), ...left].join('; ')
  return [kind, shown(path), String(places), [...spellings.keys()].join(', '), what]
}

function showDiff({ console }: Migration, root: string, files: readonly PlannedFile[]): void {
  let left = mostLines
  const changed = files.filter(({ edits }) => edits.length > 0)
  for (const [at, { path, edits, sensitive }] of changed.entries()) {
    if (left <= 0) {
      console.info(`… and so on, in ${changed.length - at} more of the files above.`)
      return
    }
    const bytes = readWhole(root, path)
    if (bytes === undefined) continue
    const lines = diffOf(shown(path), bytes, edits, { sensitive }).split('\n')
    console.info(lines.slice(0, left).join('\n   '))
    left -= lines.length
  }
}
