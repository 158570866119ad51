import type { ApiError, KubernetesObject } from '../../kubernetes/api.ts'

interface ServiceSpec {
  clusterIP?: string
  clusterIPs?: string[]
  healthCheckNodePort?: number
  ports?: { nodePort?: number }[]
  [field: string]: unknown
}

/**
 * A Service without the address or port that it had and cannot have again; the server then gives it another one.
 * @returns undefined when the error is not about one of them
 */
export function addressTakenAway(
  object: KubernetesObject,
  error: ApiError,
): { object: KubernetesObject; note: string } | undefined {
  if (object.kind !== 'Service' || object.apiVersion !== 'v1') return undefined
  const spec = object.spec as ServiceSpec
  const without = withoutClusterIp(spec, error) ?? withoutHealthCheckPort(spec, error) ?? withoutNodePort(spec, error)
  return without && { object: { ...object, spec: without.spec }, note: without.note }
}

type Without = { spec: ServiceSpec; note: string } | undefined

function withoutClusterIp(spec: ServiceSpec, { message }: ApiError): Without {
  const about = /clusterIPs?\b/.test(message) && /allocated|not in the valid range|not valid for/.test(message)
  const { clusterIP, clusterIPs, ...rest } = spec
  if (!about || clusterIP === undefined || clusterIP === 'None') return undefined
  const why = message.includes('already allocated') ? 'is taken' : "is not of this cluster's range"
  return { spec: rest, note: `its address ${clusterIP} ${why}; it gets another one` }
}

function withoutHealthCheckPort(spec: ServiceSpec, { message }: ApiError): Without {
  const { healthCheckNodePort, ...rest } = spec
  if (!/HealthCheck NodePort/i.test(message) || healthCheckNodePort === undefined) return undefined
  return { spec: rest, note: `its health check port ${healthCheckNodePort} is taken; it gets another one` }
}

function withoutNodePort(spec: ServiceSpec, { message }: ApiError): Without {
  const taken = /ports\[(\d+)\]\.nodePort: Invalid value: (\d+): .*(allocated|not in the valid range)/.exec(message)
  const ports = spec.ports ?? []
  const port = ports.find(({ nodePort }) => nodePort === Number(taken?.[2]))
  if (!taken || !port) return undefined
  const { nodePort, ...rest } = port
  return {
    spec: { ...spec, ports: ports.map((one) => (one === port ? rest : one)) },
    note: `its node port ${nodePort} is taken or not of this cluster's range; it gets another one`,
  }
}
