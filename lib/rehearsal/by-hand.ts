import { dirname } from 'node:path'
import type { Console } from '../migration/console.ts'
import { startAdversaries } from './adversaries.ts'
import { ensureBinaries } from './binaries.ts'
import { realLiqoctl } from './liqo/liqoctl.ts'
import { swapWhenAsked } from './operator.ts'
import { PracticeCluster } from './practice-cluster.ts'
import { steps } from './rehearse.ts'
import { prepareMove } from './scenario-b.ts'

export interface PractiseOptions {
  console: Console
  /** Aborted: the cluster is taken away. */
  signal: AbortSignal
  scenario: 'A' | 'B'
  recovery: 'snapshot' | 'gitops'
}

/**
 * Sets a practice cluster up and leaves the migrating to the operator: says what to export, swaps the hardware when a run has
 * proven the old machine off, and takes everything away when the signal aborts.
 * @throws OperatorError when the cluster does not come up
 */
export async function practiseByHand({ console, signal, scenario, recovery }: PractiseOptions): Promise<void> {
  const step = steps(console, signal)
  const binaries = await step('Find the binaries', () => ensureBinaries({ progress: console, signal }))
  const isMove = scenario === 'B'
  const liqoctl = isMove ? await step('Find liqoctl', () => realLiqoctl({ progress: console, signal })) : null
  const cluster = await PracticeCluster.create({
    binaries,
    step,
    keep: false,
    signal,
    workers: isMove ? 2 : 0,
  })
  try {
    await cluster.start()
    const moving = isMove
      ? await step('Put it into a mesh, and peer it with a second cluster', () => prepareMove(cluster, liqoctl))
      : undefined
    const adversaries = startAdversaries(cluster.homelab.kubeconfig)
    try {
      tell(cluster, console, { scenario, recovery, settings: moving?.settings ?? [] })
      const replacement = await swapWhenAsked(cluster, { signal, ...(moving ? { address: moving.address } : {}) })
      if (replacement)
        console.info(`The hardware was swapped: ${replacement.hardware.name} is on at ${replacement.hardware.address}.`)
      await aborted(signal)
    } finally {
      await adversaries.stop()
      await moving?.stop()
    }
  } finally {
    await cluster.destroy()
  }
}

interface Chosen {
  scenario: 'A' | 'B'
  recovery: PractiseOptions['recovery']
  /** for the environment */
  settings: readonly string[]
}

function tell(cluster: PracticeCluster, console: Console, { scenario, recovery, settings }: Chosen): void {
  const { homelab, binaries, address } = cluster
  const { CLUSTER, ENV_DIR } = cluster.environment
  console.info('')
  console.info(`The practice cluster runs at ${address}. In another terminal, in the folder of talos-migrate:`)
  console.info('')
  console.info(`  export CLUSTER=${CLUSTER} ENV_DIR=${ENV_DIR} PATH="$PATH:${dirname(binaries.task)}"`)
  if (scenario !== 'A') console.info(`  export ${[`SCENARIO=${scenario}`, ...settings].join(' ')}`)
  if (recovery === 'gitops') console.info('  export RECOVERY=gitops')
  console.info('  task migrate:plan migrate:preflight')
  for (const line of evenings[scenario]) console.info(`  ${line}`)
  console.info('')
  console.info('And to look around:')
  console.info(`  ${binaries.talosctl} --talosconfig ${homelab.talosconfig} get members`)
  console.info(`  kubectl --kubeconfig ${homelab.kubeconfig} get pods -A`)
  console.info('')
  console.info('Ctrl-C here takes it all away.')
}

const evenings: Record<'A' | 'B', readonly string[]> = {
  A: [
    'task migrate:backup migrate:drain migrate:shutdown    (the hardware is swapped when it is off)',
    'task migrate:provision migrate:resume migrate:verify',
  ],
  B: [
    'task migrate:run    (the hardware is swapped when the old machine is off); or, phase by phase:',
    'task migrate:backup migrate:unpeer migrate:drain migrate:shutdown',
    'task migrate:provision migrate:rewrite-ip migrate:resume migrate:repeer migrate:verify',
  ],
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  // A signal alone does not keep the process.
  const alive = setInterval(() => undefined, 60_000)
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => {
      clearInterval(alive)
      resolve()
    })
  })
}
