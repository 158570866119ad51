import type { Migration } from '../../migration/migration.ts'
import { describeMachine } from '../../talos/identity.ts'
import { knownMachine } from './known-machine.ts'
import type { WayBack } from './way-back.ts'

/** Shows what going back will do, in its order; in a dry run every single change by name. */
export function showWayBack({ console, journal, dryRun }: Migration, way: WayBack): void {
  const steps = journal.rollbackUnderWay ? ['Go on with the rollback that has begun.'] : []
  console.info([...steps, ...machineSteps(way), ...changeSteps(way)].join('\n'))
  if (dryRun) for (const { what } of way.changes) console.change(`undo: ${what}`, 'would be made')
}

function machineSteps({ joined, replacement, old, etcd }: WayBack): string[] {
  const steps = joined.map((change) => {
    const { address, identity } = knownMachine(change)
    return `The machine at ${address} (${describeMachine(identity)}) leaves etcd in order, and is emptied.`
  })
  if (replacement) {
    const { address, identity } = replacement
    const why = etcd !== 'none' ? ', so that its etcd never runs beside the old one' : ''
    steps.push(`The new machine (${describeMachine(identity)}, ${address}) is reset if it runs, and proven off${why}.`)
  }
  if (old) {
    const { address, identity } = old
    steps.push(`You power the old machine on (${describeMachine(identity)}, ${address}). Its etcd is the truth.`)
  }
  return steps
}

function changeSteps({ changes, standAgain, goWithIt }: WayBack): string[] {
  const phases = [...new Set(changes.map(({ phase }) => phase))]
  const counts = phases.map((name) => `${changes.filter(({ phase }) => phase === name).length} of ${name}`)
  const lines = [`${changes.length} changes are undone, the newest first: ${counts.join(', ')}.`]
  if (standAgain.length > 0) {
    lines.push(`${standAgain.length} of them were undone on the new machine; in the old one's etcd they stand still.`)
  }
  if (goWithIt.length > 0)
    lines.push(`${goWithIt.length} changes were made to the new machine's etcd alone, and go with it.`)
  return lines
}
