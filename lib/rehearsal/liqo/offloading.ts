import type { KubernetesObject } from '../../kubernetes/api.ts'
import { about, createOnce, held, pathOf, remoteLabel, removeIfThere, type Stage, setStatus } from './play.ts'

const authentication = 'authentication.liqo.io'
const offloading = 'offloading.liqo.io'

interface Slice extends KubernetesObject {
  spec: { class?: string; resources?: Record<string, string> }
  status?: { conditions?: { type: string; status: string }[] }
}
interface Pod extends KubernetesObject {
  spec: { nodeName?: string }
}

/** Slices are replicated to the provider and accepted there; an accepted one that asks for it becomes a virtual node. */
export async function controlOffloading(stage: Stage): Promise<void> {
  for (const slice of await about(stage, authentication, 'resourceslices')) {
    if (slice.metadata.labels?.['liqo.io/replication'] === 'true') await controlSlice(stage, slice as Slice)
    else await held(stage, 'quotas', pathOf(authentication, 'resourceslices', slice), slice)
  }
  for (const quota of await about(stage, offloading, 'quotas')) {
    await held(stage, 'quotas', pathOf(offloading, 'quotas', quota), quota)
  }
  for (const node of await about(stage, offloading, 'virtualnodes')) await controlVirtualNode(stage, node)
}

async function controlSlice(stage: Stage, slice: Slice): Promise<void> {
  const { own, other } = stage
  const { name, namespace } = slice.metadata
  const path = pathOf(authentication, 'resourceslices', slice)
  const tenant = `liqo-tenant-${own.id}`
  const replica = `/apis/${authentication}/v1beta1/namespaces/${tenant}/resourceslices`
  const quota = `/apis/${offloading}/v1beta1/namespaces/${tenant}/quotas`
  const isHere = await held(stage, 'resourceslices', path, slice, async () => {
    await removeIfThere(other.api, `${replica}/${name}`)
    await removeIfThere(other.api, `${quota}/${name}`)
  })
  if (!isHere) return
  const labels = { [remoteLabel]: own.id, 'liqo.io/originID': own.id }
  const { class: of, resources = {} } = slice.spec
  await createOnce(other.api, replica, {
    ...{ apiVersion: `${authentication}/v1beta1`, kind: 'ResourceSlice' },
    metadata: { name, labels: { ...labels, 'liqo.io/replicated': 'true' } },
    spec: { class: of, consumerClusterID: own.id, resources },
  })
  await createOnce(other.api, quota, {
    ...{ apiVersion: `${offloading}/v1beta1`, kind: 'Quota', metadata: { name, labels } },
    spec: { user: own.id, resources },
  })
  const conditions = ['Authentication', 'Resources'].map((type) => ({ type, status: 'Accepted' }))
  await setStatus(own.api, path, slice, { conditions, resources })
  if (slice.metadata.annotations?.['liqo.io/create-virtual-node'] !== 'true' || slice.status?.conditions === undefined)
    return
  await createOnce(own.api, `/apis/${offloading}/v1beta1/namespaces/${namespace}/virtualnodes`, {
    ...{ apiVersion: `${offloading}/v1beta1`, kind: 'VirtualNode' },
    metadata: { name, labels: { [remoteLabel]: other.id } },
    spec: { clusterID: other.id, createNode: true, resourceQuota: { hard: resources } },
  })
}

async function controlVirtualNode(stage: Stage, virtualNode: KubernetesObject): Promise<void> {
  const { api } = stage.own
  const { name } = virtualNode.metadata
  const path = pathOf(offloading, 'virtualnodes', virtualNode)
  const isHere = await held(stage, 'virtualnodes', path, virtualNode, () => removeNode(stage, name))
  if (!isHere) return
  const { createNode } = virtualNode.spec as { createNode?: boolean }
  if (createNode !== false) {
    await createOnce(api, '/api/v1/nodes', {
      metadata: {
        name,
        labels: { 'liqo.io/type': 'virtual-node', [remoteLabel]: stage.other.id, 'kubernetes.io/hostname': name },
      },
      spec: {
        providerID: `liqo://${name}`,
        taints: [{ key: 'virtual-node.liqo.io/not-allowed', value: 'true', effect: 'NoExecute' }],
      },
    })
    const node = await api.get(`/api/v1/nodes/${name}`)
    const room = { cpu: '16', memory: '64Gi', pods: '110' }
    await setStatus(api, `/api/v1/nodes/${name}`, node, { capacity: room, allocatable: room })
  }
  await setStatus(api, path, virtualNode, { conditions: [{ type: 'VirtualKubelet', status: 'Running' }] })
  await mirrorPods(stage, name)
}

/** What runs on the virtual node is a shadow pod in the other cluster. */
async function mirrorPods({ own, other }: Stage, node: string): Promise<void> {
  const pods = await own.api.list<Pod>('/api/v1/pods', { fieldSelector: `spec.nodeName=${node}` })
  for (const { metadata } of pods) {
    const namespace = `${metadata.namespace}-${own.id}`
    const labels = { [remoteLabel]: own.id }
    await createOnce(other.api, '/api/v1/namespaces', { metadata: { name: namespace, labels } })
    await createOnce(other.api, `/apis/${offloading}/v1beta1/namespaces/${namespace}/shadowpods`, {
      ...{ apiVersion: `${offloading}/v1beta1`, kind: 'ShadowPod' },
      metadata: { name: metadata.name, labels: { 'offloading.liqo.io/origin': own.id } },
      spec: {},
    })
  }
}

async function removeNode({ own, other }: Stage, node: string): Promise<void> {
  await removeIfThere(own.api, `/api/v1/nodes/${node}`)
  const pods = await own.api.list<Pod>('/api/v1/pods', { fieldSelector: `spec.nodeName=${node}` })
  for (const { metadata } of pods) {
    await removeIfThere(own.api, `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`, {
      gracePeriodSeconds: 0,
    })
  }
  const namespaces = await other.api.list('/api/v1/namespaces', { labelSelector: `${remoteLabel}=${own.id}` })
  for (const { metadata } of namespaces) {
    // The tenant namespace is of the peering as a whole.
    if (metadata.name !== `liqo-tenant-${own.id}`) await removeIfThere(other.api, `/api/v1/namespaces/${metadata.name}`)
  }
}
