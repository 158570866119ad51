import type { Settings } from '../settings.ts'

/** A question of the runbook ("Questions to Resolve Before Migration"), and where it stands. */
export interface Question {
  readonly question: string
  /** null: nobody has answered it */
  readonly answer: string | null
  /** Which setting answers it. */
  readonly how: string
}

/**
 * The runbook's five questions, answered from the settings and from what was found in the cluster.
 * @param found whether Liqo is installed, and how many Nodes there are
 */
export function questions(settings: Settings, found: { liqo: boolean; nodes: number }): Question[] {
  return [
    {
      question: 'What new hardware?',
      answer: settings.newHardware ?? null,
      how: 'NEW_HARDWARE, in your words; preflight compares the machine itself once it waits in maintenance mode',
    },
    {
      question: 'Same IP or new IP?',
      answer: addressAnswer(settings),
      how: 'SCENARIO, with NEW_TALOS_NODE for B and JOIN_NODES for C',
    },
    {
      question: 'Keep multi-node setup or expand?',
      answer: topologyAnswer(settings, found.nodes),
      how: 'SCENARIO=C expands',
    },
    {
      question: 'Timing constraints? (Maintenance window)',
      answer: settings.maintenanceWindow?.text ?? null,
      how: 'MAINTENANCE_WINDOW, such as 22:00-02:00: long enough for the evening, and as much again for the way back',
    },
    {
      question: 'Should Liqo peering be torn down first?',
      answer: liqoAnswer(settings, found.liqo),
      how: 'LIQO_TEARDOWN=yes or no; after a yes migrate:repeer peers again',
    },
  ]
}

function addressAnswer({ scenario, nodeAddress, newNodeAddress, joinNodes, joinNode }: Settings): string | null {
  if (scenario === 'A') return `the same: ${nodeAddress}`
  if (scenario === 'B') return newNodeAddress === undefined ? null : `${nodeAddress} becomes ${newNodeAddress}`
  const joining = joinNodes.map(({ name, address }) => `${name} (${address})`)
  if (joinNode === undefined && joining.length === 0) return null
  return `${nodeAddress} stays; ${joinNode ?? joining.join(', ')} joins`
}

function topologyAnswer({ scenario, joinNodes }: Settings, nodes: number): string {
  if (scenario === 'C') return `expand to ${Math.max(3, joinNodes.length + 1)} control plane nodes`
  return `keep: ${nodes === 1 ? 'one Node' : `${nodes} Nodes`} now`
}

function liqoAnswer({ scenario, liqoTeardown }: Settings, liqo: boolean): string | null {
  if (!liqo) return 'Liqo is not installed'
  // The same address, PKI and namespace UIDs: the peer finds what it knows.
  if (scenario !== 'B') return 'no: address and identity stay, so the peering outlives the swap'
  return liqoTeardown ?? null
}
