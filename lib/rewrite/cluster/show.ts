import type { Migration } from '../../migration/migration.ts'
import { shownPointer } from './fields.ts'
import type { Hit, Survey } from './survey.ts'
import { comesByItself, type Whose } from './whose.ts'

const order: Whose['who'][] = ['git', 'nobody', 'maker', 'cluster', 'follows']

/** Lists what in the cluster holds the address, with whose it is, and so where it is to be changed. Values are not shown. */
export function showSurvey(
  { console }: Pick<Migration, 'console'>,
  { hits, leftOut, unread }: Survey,
  address: string,
): void {
  const sorted = hits.toSorted((a, b) => order.indexOf(a.whose.who) - order.indexOf(b.whose.who))
  const rows = grouped(sorted).map((group) => rowOf(group))
  if (rows.length === 0) console.info(`No object of the cluster holds ${address}.`)
  else console.table(`What in the cluster holds ${address}`, ['OBJECT', 'WHERE', 'WHOSE', 'WHAT TO CHANGE'], rows)
  for (const { what, why } of leftOut) console.info(`Left out: ${what}: ${why}.`)
  for (const { what, why } of unread) console.warn(`${what} could not be looked into: ${why}`)
}

/** How many objects there are of each owner: what a step journals. */
export function countsOf({ hits }: Survey): Record<Whose['who'], number> {
  const count = (who: Whose['who']) =>
    new Set(hits.filter(({ whose }) => whose.who === who).map(({ path }) => path)).size
  return Object.fromEntries(order.map((who) => [who, count(who)])) as Record<Whose['who'], number>
}

/** What comes by itself, and is of the same kind and for the same reason, is one line. */
function grouped(hits: readonly Hit[]): Hit[][] {
  const groups = new Map<string, Hit[]>()
  hits.forEach((hit, index) => {
    const where = hit.fields.map(({ pointer }) => shownPointer(pointer).replaceAll(/\d+/g, '')).join()
    const key = comesByItself(hit.whose) ? `${hit.resource} ${JSON.stringify(hit.whose)} ${where}` : String(index)
    groups.set(key, [...(groups.get(key) ?? []), hit])
  })
  return [...groups.values()]
}

function rowOf([first, ...more]: Hit[]): string[] {
  if (first === undefined) return []
  const where = first.fields.map(({ pointer, encoded }) => `${shownPointer(pointer)}${encoded ? ' (decoded)' : ''}`)
  const shown = where.length > 3 ? [...where.slice(0, 3), `and ${where.length - 3} more`] : where
  const rest = more.length === 0 ? '' : ` and ${more.length} more`
  return [`${first.resource} ${first.name}${rest}`, shown.join(', '), ...whoseAndWhat(first)]
}

function whoseAndWhat({ whose, fields }: Hit): [whose: string, what: string] {
  switch (whose.who) {
    case 'git':
      return [whose.holder, whose.idle === undefined ? 'Git' : `Git; mind that ${whose.idle}`]
    case 'maker':
      return [whose.holder, `what ${whose.holder} makes it from`]
    case 'follows':
      return [whose.holder, 'nothing: it follows']
    case 'cluster':
      return ['the cluster', `nothing: ${whose.why}`]
    case 'nobody': {
      const locked = fields.find((field) => field.locked !== null)?.locked
      return ['nobody', locked ? `by hand: ${locked}` : 'the cluster: -- --cluster does it']
    }
  }
}
