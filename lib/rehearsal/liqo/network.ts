import type { KubernetesObject } from '../../kubernetes/api.ts'
import { about, createOnce, held, pathOf, remoteLabel, removeIfThere, type Stage, setStatus } from './play.ts'

const networking = 'networking.liqo.io'

interface Gateway extends KubernetesObject {
  spec: { endpoint?: { port?: number; loadBalancerIP?: string } }
}

/** The cluster's own networks get what they asked for, configurations the other's networks as they see them, gateways a pod, a key and a connection. */
export async function controlNetwork(stage: Stage): Promise<void> {
  const { own } = stage
  const networks = `/apis/ipam.liqo.io/v1alpha1/namespaces/${own.namespace}/networks`
  for (const network of await own.api.list(networks)) {
    const { cidr } = network.spec as { cidr: string }
    await setStatus(own.api, `${networks}/${network.metadata.name}`, network, { cidr })
  }
  for (const configuration of await about(stage, networking, 'configurations')) {
    const path = pathOf(networking, 'configurations', configuration)
    if (!(await held(stage, 'configurations', path, configuration))) continue
    const { remote } = configuration.spec as { remote: object }
    await setStatus(own.api, path, configuration, { remote })
  }
  for (const [resource, type] of [
    ['gatewayservers', 'server'],
    ['gatewayclients', 'client'],
  ] as const) {
    for (const gateway of await about(stage, networking, resource))
      await controlGateway(stage, resource, type, gateway as Gateway)
  }
}

async function controlGateway(
  stage: Stage,
  resource: string,
  type: 'server' | 'client',
  gateway: Gateway,
): Promise<void> {
  const { api } = stage.own
  const { name, namespace = '' } = gateway.metadata
  const path = pathOf(networking, resource, gateway)
  const workload = `gw-${name}`
  const connections = `/apis/${networking}/v1beta1/namespaces/${namespace}/connections`
  const isHere = await held(stage, resource, path, gateway, async () => {
    await removeIfThere(api, `/apis/apps/v1/namespaces/${namespace}/deployments/${workload}`)
    await removeIfThere(api, `${connections}/${workload}`)
    await removeIfThere(api, `/api/v1/namespaces/${namespace}/secrets/${workload}`)
  })
  if (!isHere) return
  const labels = { [remoteLabel]: stage.other.id }
  const secretRef = { name: workload, namespace }
  const key = Buffer.alloc(32, name).toString('base64')
  await createOnce(api, `/api/v1/namespaces/${namespace}/secrets`, {
    metadata: { name: workload, labels },
    data: { publicKey: key },
  })
  await createOnce(api, `/apis/apps/v1/namespaces/${namespace}/deployments`, deployment(workload))
  const { port = 51840, loadBalancerIP = '198.51.100.7' } = gateway.spec.endpoint ?? {}
  const endpoint = { addresses: [loadBalancerIP], port, protocol: 'UDP' }
  await setStatus(api, path, gateway, type === 'server' ? { endpoint, secretRef } : { secretRef })
  await createOnce(api, connections, {
    ...{ apiVersion: `${networking}/v1beta1`, kind: 'Connection', metadata: { name: workload, labels } },
    spec: { type, gatewayRef: { name, namespace } },
  })
  const connection = await api.get(`${connections}/${workload}`)
  await setStatus(api, `${connections}/${workload}`, connection, { value: 'Connected' })
}

function deployment(name: string) {
  const labels = { 'networking.liqo.io/gateway-name': name }
  const containers = [{ name: 'gateway', image: 'ghcr.io/liqotech/gateway:v1.0.1' }]
  return {
    metadata: { name },
    spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
  }
}
