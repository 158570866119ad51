import type { KubernetesObject } from '../../kubernetes/api.ts'
import { controllersOf, describeOwner, isReady, listPods, ownerOf } from '../../kubernetes/pods.ts'
import { messageOf } from '../../migration/errors.ts'
import { Liqoctl } from '../../network/liqo/liqoctl.ts'
import { openHere } from '../../network/liqo/open.ts'
import { certificateFor } from '../../network/nebula/facts.ts'
import type { Finding } from '../check.ts'
import { foreignClusters } from '../peerings.ts'
import type { PreflightCheck } from './context.ts'

const peeringCanBeTakenDown: PreflightCheck = {
  name: "Liqo's peerings can be taken down and made again",
  run: async (context) => {
    const { settings } = context
    if (settings.liqoTeardown === 'no') return []
    const peers = await foreignClusters(await context.api())
    if (peers.length === 0) return []
    // Where nothing is said, migrate:unpeer asks, and the peering may be left as it is.
    const severity = settings.liqoTeardown === 'yes' && settings.scenario === 'B' ? 'error' : 'warning'
    const finding = (subject: string, evidence: string, wayOut: string): Finding => ({
      subject,
      evidence,
      severity,
      wayOut: `${wayOut}; or LIQO_TEARDOWN=no, if the peering is to stay.`,
    })
    const subject = peers.map(calledPeer).join(', ')
    const noRemote = 'LIQO_REMOTE_KUBECONFIG is not set, and a peering is taken down on both sides'
    const [unknown, noTool] = await Promise.all([
      reasonOf(openHere(settings, await context.api())),
      reasonOf(Liqoctl.find(settings.liqoctl)),
    ])
    return [
      ...(settings.liqoRemoteKubeconfig === undefined
        ? [finding(subject, noRemote, 'Set LIQO_REMOTE_KUBECONFIG')]
        : []),
      ...(unknown === undefined ? [] : [finding(subject, unknown, 'Correct LIQO_NAMESPACE')]),
      ...(noTool === undefined
        ? []
        : [finding(settings.liqoctl, noTool, 'Install the liqoctl of the clusters’ Liqo, or set LIQOCTL')]),
    ]
  },
}

const nodeIsInTheMesh: PreflightCheck = {
  name: 'Nebula has a certificate for MESH_ADDRESS, and runs on the Node',
  run: async (context) => {
    const facts = await context.nebula()
    if (facts === null) return []
    const { meshAddress, nodeName } = context.settings
    const api = await context.api()
    const certified = meshAddress === undefined || certificateFor(facts, meshAddress) !== undefined
    const pods = await listPods(api, { node: nodeName })
    const own = facts.workloads.map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`)
    const controllers = controllersOf(await api.list('/apis/apps/v1/replicasets'))
    const here = pods.filter((pod) => own.includes(describeOwner(ownerOf(pod, controllers), pod)))
    const finding = (subject: string, evidence: string, wayOut: string): Finding => ({
      ...{ subject, evidence, wayOut, severity: 'warning' },
    })
    return [
      ...(certified || facts.certificates.length === 0
        ? []
        : [
            finding(
              `MESH_ADDRESS=${meshAddress}`,
              'no certificate is for it',
              'Correct MESH_ADDRESS (nebula-cert print).',
            ),
          ]),
      ...(own.length === 0 || here.some(isReady)
        ? []
        : [finding(own.join(', '), `no pod of it is ready on ${nodeName}`, `kubectl describe ${own[0]}`)]),
    ]
  },
}

function calledPeer({ metadata }: KubernetesObject): string {
  return `ForeignCluster ${metadata.name}`
}

/** Why something cannot be had; undefined when it can. */
async function reasonOf(attempt: Promise<unknown>): Promise<string | undefined> {
  return attempt.then(() => undefined, messageOf)
}

/** The cluster at the other end. */
export const meshChecks: readonly PreflightCheck[] = [peeringCanBeTakenDown, nodeIsInTheMesh]
