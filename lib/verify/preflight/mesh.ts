import { Liqoctl } from '../../network/liqo/liqoctl.ts'
import { openHere } from '../../network/liqo/open.ts'
import { liqoObjects } from '../../network/liqo/side.ts'
import type { Finding } from '../check.ts'
import type { PreflightCheck } from './context.ts'

interface PeerStatus {
  modules?: Record<string, { enabled?: boolean; conditions?: { type: string; status: string; message?: string }[] }>
}

/** Source: https://docs.liqo.io/en/v1.0.1/usage/peer.html (ForeignCluster, status.modules) */
const liqoIsPeered: PreflightCheck = {
  name: "Liqo's peerings are established",
  run: async (context) => {
    const installation = await openHere(context.settings, await context.api())
    if (installation.state !== 'running') return []
    const peers = await liqoObjects(installation.side, 'foreignclusters')
    return peers.flatMap(({ object }) => {
      const { modules = {} } = (object.status ?? {}) as PeerStatus
      return Object.entries(modules).flatMap(([module, { enabled, conditions = [] }]) =>
        conditions
          .filter(({ status }) => enabled === true && !['Established', 'Ready', 'True'].includes(status))
          .map(({ type, status, message }) => ({
            subject: `ForeignCluster ${object.metadata.name}`,
            evidence: `${module}: ${type} is ${status}${message ? ` (${message})` : ''}`,
            severity: 'warning' as const,
            wayOut: 'liqoctl info; a peering that is broken now is easier mended now than taken down half.',
          })),
      )
    })
  },
}

const peeringCanBeTakenDown: PreflightCheck = {
  name: "Liqo's peerings can be taken down and made again",
  run: async (context) => {
    const { settings } = context
    if (settings.liqoTeardown === 'no') return []
    const installation = await openHere(settings, await context.api())
    if (installation.state !== 'running') return []
    const peers = await liqoObjects(installation.side, 'foreignclusters')
    if (peers.length === 0) return []
    // Scenario A keeps the address: the peering may stay as it is, and migrate:unpeer asks.
    const severity = settings.scenario === 'B' ? 'error' : 'warning'
    const found: Finding[] = []
    if (settings.liqoRemoteKubeconfig === undefined) {
      found.push({
        subject: peers.map(({ object }) => `ForeignCluster ${object.metadata.name}`).join(', '),
        evidence: 'LIQO_REMOTE_KUBECONFIG is not set, and a peering is taken down on both sides',
        severity,
        wayOut: 'Set LIQO_REMOTE_KUBECONFIG; or LIQO_TEARDOWN=no, if the peering is to stay.',
      })
    }
    const refused = await Liqoctl.find(settings.liqoctl).then(
      () => undefined,
      (error: Error) => error.message,
    )
    if (refused !== undefined) {
      found.push({
        subject: settings.liqoctl,
        evidence: refused,
        severity,
        wayOut: 'Install the liqoctl of the Liqo that the clusters run, or set LIQOCTL; or LIQO_TEARDOWN=no.',
      })
    }
    return found
  },
}

/** The cluster at the other end. */
export const meshChecks: readonly PreflightCheck[] = [liqoIsPeered, peeringCanBeTakenDown]
