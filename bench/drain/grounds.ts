import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { until } from '../../test/kubernetes/bare-cluster.ts'
import { DrainGround, makeNode } from '../../test/kubernetes/draining.ts'

/** Pods of one node that are drained and come back, round after round. */
export interface Ground {
  readonly name: string
  readonly node: string
  /** Takes the cordon off and waits until all pods run on the node again. */
  restore(): Promise<void>
}

const pods = 110

/** As many pods as a node may have, whose containers take their whole grace to end: 1, 2, 5 or 10 s. */
export async function mixedGraces(api: KubernetesApi): Promise<Ground> {
  const ground = await DrainGround.make(api, 'mixed-graces')
  const graces: [grace: number, replicas: number][] = [
    [1, 40],
    [2, 35],
    [5, 25],
    [10, 10],
  ]
  for (const [grace, replicas] of graces) {
    await ground.workload('Deployment', `grace-${grace}`, replicas, { spec: { terminationGracePeriodSeconds: grace } })
  }
  return onNode(ground, `${pods} pods, graces of 1 to 10 s`)
}

/** As many pods with one second of grace each: what is left to measure is the asking and the looking. */
export async function shortGraces(api: KubernetesApi): Promise<Ground> {
  const ground = await DrainGround.make(api, 'short-graces')
  await ground.workload('Deployment', 'web', pods)
  return onNode(ground, `${pods} pods, graces of 1 s`)
}

/** Eleven workloads whose budgets let two pods go at a time, when their replacements are ready on another node. */
export async function behindBudgets(api: KubernetesApi): Promise<Ground> {
  await makeNode(api, 'behind-budgets-home')
  const ground = await DrainGround.make(api, 'behind-budgets', ['behind-budgets-home'])
  const restore = async () => {
    await onNode(ground, '').restore()
  }
  const apps = Array.from({ length: 11 }, (_, at) => `app-${at}`)
  await cordoned(api, 'behind-budgets-home', true)
  for (const app of apps) await ground.workload('Deployment', app, 10)
  await restore()
  for (const app of apps) await ground.budget(app, app, { maxUnavailable: 2 })
  return {
    name: `${pods} pods, budgets of 2 at a time`,
    node: ground.node,
    restore: async () => {
      await cordoned(api, 'behind-budgets-home', true)
      for (const pod of await ground.pods()) {
        await api.remove(`/api/v1/namespaces/${ground.namespace}/pods/${pod.metadata.name}`)
      }
      await restore()
      await cordoned(api, 'behind-budgets-home', false)
    },
  }
}

function onNode(ground: DrainGround, name: string): Ground {
  const { api, node } = ground
  const restore = async () => {
    await cordoned(api, node, false)
    await until(
      `${pods} pods run on ${node}`,
      async () => {
        const here = (await ground.pods()).filter((pod) => pod.spec.nodeName === node)
        const running = here.filter((pod) => pod.status.phase === 'Running' && !pod.metadata.deletionTimestamp)
        return running.length === pods && here.length === pods
      },
      180,
    )
  }
  return { name, node, restore }
}

async function cordoned(api: KubernetesApi, node: string, unschedulable: boolean): Promise<void> {
  await api.mergePatch(`/api/v1/nodes/${node}`, { spec: { unschedulable } })
}
