import type { Settings } from '../settings.ts'

/** A question of the runbook ("Questions to Resolve Before Migration"), and where it stands. */
export interface Question {
  readonly question: string
  readonly answer: string | null
  readonly how: string
}

/** The runbook's five questions, answered from the settings and from what was found in the cluster. */
export function questions(settings: Settings, found: { liqo: boolean; nodes: number }): Question[] {
  const { scenario, nodeAddress, newNodeAddress } = settings
  const addresses: Record<Settings['scenario'], string | null> = {
    A: `the same: ${nodeAddress}`,
    B: newNodeAddress === undefined ? null : `${nodeAddress} becomes ${newNodeAddress}`,
    C: newNodeAddress === undefined ? null : `${nodeAddress} stays, ${newNodeAddress} joins`,
  }
  return [
    {
      question: 'What new hardware?',
      answer: null,
      how: 'Boot it from a Talos image into maintenance mode, and run preflight: it compares disks, memory and CPU.',
    },
    { question: 'Same IP or new IP?', answer: addresses[scenario], how: 'SCENARIO, and NEW_TALOS_NODE for B and C' },
    {
      question: 'Keep multi-node setup or expand?',
      answer:
        scenario === 'C'
          ? 'expand to three control plane nodes'
          : `keep: ${found.nodes === 1 ? 'one Node' : `${found.nodes} Nodes`} now`,
      how: 'SCENARIO=C expands',
    },
    {
      question: 'Timing constraints? (Maintenance window)',
      answer: null,
      how: 'Agree on a window that holds the evening as estimated above, and as much again for the way back.',
    },
    {
      question: 'Should Liqo peering be torn down first?',
      answer: liqoAnswer(settings, found.liqo),
      how: 'LIQO_TEARDOWN=yes or no; unset, migrate:unpeer asks. migrate:repeer peers again',
    },
  ]
}

function liqoAnswer({ scenario, liqoTeardown }: Settings, liqo: boolean): string | null {
  if (!liqo) return 'Liqo is not installed'
  // The same address, PKI and namespace UIDs: the peer finds what it knows.
  if (scenario !== 'B') return 'no: address and identity stay, so the peering outlives the swap'
  return liqoTeardown ?? null
}
