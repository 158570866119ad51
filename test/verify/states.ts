import type { Baseline } from '../../lib/verify/baseline.ts'

/** A cluster in which there is nothing. */
export const emptyState: Baseline = {
  version: 1,
  takenAt: '2025-12-04T20:00:00.000Z',
  ...{ nodes: [], workloads: [], pods: [], jobs: [], cronJobs: [], volumes: [], claims: [] },
  ...{ flux: [], applications: [], externalSecrets: [], peerings: [], mesh: [], names: [], hosts: [], ingress: [] },
}
