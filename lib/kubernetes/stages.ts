/** What goes down and comes back at a place in an order. */
export interface Staged {
  readonly namespace: string
  readonly name: string
  /** what others use, as far as can be told from its kind */
  readonly isDatabase: boolean
}

/**
 * Puts what is to be quieted into stages, the first of which goes down first and comes back last. The order is
 * QUIET_ORDER's; what it does not name goes where its `*` stands, or before all else. Where it says nothing (always,
 * when it is empty), what is no database goes before what is.
 * @param order patterns such as `media/*` or `databases/postgres`
 * @returns stages by their numbers, ascending from 1
 */
export function stagesOf<T extends Staged>(items: readonly T[], order: readonly string[]): Map<number, T[]> {
  const stages = new Map<number, T[]>()
  for (const item of items) {
    const stage = 2 * placeOf(item, order) + (item.isDatabase ? 2 : 1)
    stages.set(stage, [...(stages.get(stage) ?? []), item])
  }
  return new Map([...stages].sort(([a], [b]) => a - b))
}

/** 0 is before all that is named. */
function placeOf({ namespace, name }: Staged, order: readonly string[]): number {
  const named = order.findIndex((pattern) => pattern !== rest && matches(pattern, `${namespace}/${name}`))
  return (named >= 0 ? named : order.indexOf(rest)) + 1
}

const rest = '*'

function matches(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`).test(name)
}
