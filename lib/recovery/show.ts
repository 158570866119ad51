import { byResource } from '../gitops/restore-list.ts'
import type { Migration } from '../migration/migration.ts'
import type { Decision } from './decision.ts'

/** What no rebuild from Git brings back, whatever the list says. */
export const lostInAnyCase = [
  'UIDs, creation times and resource versions: every object is a new one',
  'events, and the history of rollouts, Jobs and Helm releases: each begins anew',
  'the status of custom resources: their controllers write it anew, from what they see then',
  'cluster IPs and node ports that Git does not name: Services get others, and names resolve to them',
  'tokens of service accounts: whoever used one from outside needs a new one',
] as const

/** Shows what is restored, grouped by resource, with why. */
export function showRestored({ console }: Migration, { rebuild, before, engine, listed }: Decision): void {
  const whys = new Map(rebuild.restored.map(({ called, why }) => [called, why]))
  const rowsOf = (names: ReadonlySet<string>) =>
    [...byResource([...names].toSorted().map((called) => ({ called })))].flatMap(([resource, those]) =>
      those.map(({ called }, i) => [
        i === 0 ? resource : '',
        called.slice(resource.length + 1),
        whys.get(called) ?? `${listed} names it`,
      ]),
    )
  const columns = ['resource', 'object', 'why']
  console.table(`What Git does not hold: ${before.size} objects, restored from the backup`, columns, rowsOf(before))
  console.table(`GitOps itself: ${engine.size} objects, restored after them`, columns, rowsOf(engine))
}

/** Announces what will be lost, by name. */
export function showLosses({ console }: Migration, { rebuild, losses }: Decision): void {
  const rows = losses.map(({ called, what, why }) => [called, what, why])
  if (rows.length > 0)
    console.table(`What a rebuild from Git will lose (${rows.length})`, ['object', 'what', 'why'], rows)
  else console.info('No object will be lost by name.')
  for (const line of lostInAnyCase) console.warn(`Lost in any case: ${line}.`)
  console.info(
    `${rebuild.fromGit} objects come out of Git, ${rebuild.madeAnew} are made anew by their controllers or by the cluster.`,
  )
}
