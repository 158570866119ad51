import type { Console } from '../../migration/console.ts'
import type { Migration } from '../../migration/migration.ts'
import type { ResourceEntry } from '../manifest.ts'
import type { Refusal } from './refusal.ts'
import { resourceName } from './source.ts'

const columns = ['created', 'updated', 'equal', 'skipped', 'refused', 'left'] as const
export type Outcome = (typeof columns)[number]
type Counts = Record<Outcome, number>

/** How many objects came to what, by resource. Plain JSON, and free of secrets. */
export type RestoreSummary = {
  resources: ({ resource: string } & Counts)[]
  refused: { object: string; reason: string; next: string }[]
  /** What was left to the cluster, and why. */
  left: { resource: string; why: string; count: number }[]
}

const shownDifferences = 200

/** Counts, and says what is worth saying as it comes. */
export class Tally {
  readonly #console: Console
  readonly #counts = new Map<string, Counts>()
  readonly #refused: RestoreSummary['refused'] = []
  readonly #left = new Map<string, RestoreSummary['left'][number]>()
  #differences = 0
  #unchecked = 0

  constructor(console: Console) {
    this.#console = console
  }

  count(entry: ResourceEntry, outcome: Outcome): void {
    const resource = resourceName(entry)
    const counts = this.#counts.get(resource) ?? zero()
    counts[outcome]++
    this.#counts.set(resource, counts)
  }

  left(entry: ResourceEntry, why: string): void {
    this.count(entry, 'left')
    const resource = resourceName(entry)
    const known = this.#left.get(`${resource} ${why}`) ?? { resource, why, count: 0 }
    this.#left.set(`${resource} ${why}`, { ...known, count: known.count + 1 })
  }

  refuse(entry: ResourceEntry, object: string, { message, next }: Refusal): void {
    this.count(entry, 'refused')
    this.#refused.push({ object, reason: message, next })
    this.#console.warn(`${object} was refused: ${message}`)
  }

  note(object: string, note: string): void {
    this.#console.warn(`${object}: ${note}`)
  }

  difference(text: string): void {
    this.#differences++
    if (this.#differences <= shownDifferences) for (const line of text.split('\n')) this.#console.info(line)
    if (this.#differences === shownDifferences) this.#console.info('Further differences are counted, not shown.')
  }

  /** The server could not be asked beforehand, for what the object needs is not there yet. */
  unchecked(): void {
    this.#unchecked++
  }

  get objects(): number {
    return [...this.#counts.values()].reduce(
      (sum, counts) => sum + columns.reduce((all, name) => all + counts[name], 0),
      0,
    )
  }

  summary(): RestoreSummary {
    if (this.#unchecked > 0) {
      const count = this.#unchecked
      this.#console.info(
        `Of ${count} the server cannot be asked beforehand: what they need (namespace, definition) is not there yet.`,
      )
    }
    const resources = [...this.#counts].map(([resource, counts]) => ({ resource, ...counts }))
    return { resources, refused: this.#refused, left: [...this.#left.values()] }
  }
}

const zero = (): Counts => ({ created: 0, updated: 0, equal: 0, skipped: 0, refused: 0, left: 0 })

/** Shows what a restore came to. */
export function showSummary({ console, dryRun }: Migration, { resources, refused, left }: RestoreSummary): void {
  const rows = resources.map((row) => [
    row.resource,
    ...columns.map((name) => (row[name] === 0 ? '-' : `${row[name]}`)),
  ])
  console.table(dryRun ? 'Would be restored' : 'Restored', ['resource', ...columns], rows)
  if (left.length > 0) {
    console.table(
      'Left to the cluster',
      ['resource', 'count', 'why'],
      left.map(({ resource, count, why }) => [resource, `${count}`, why]),
    )
  }
  if (refused.length === 0) return
  console.table(
    'Refused',
    ['object', 'reason', 'what to do'],
    refused.map(({ object, reason, next }) => [object, reason, next]),
  )
}
