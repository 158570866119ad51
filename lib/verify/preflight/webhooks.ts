import type { KubernetesApi, KubernetesObject } from '../../kubernetes/api.ts'
import type { LabelSelector } from '../../kubernetes/kinds.ts'
import type { Finding } from '../check.ts'
import { concernsTonight } from './changed-tonight.ts'
import type { PreflightCheck } from './context.ts'

interface Webhook {
  name: string
  failurePolicy?: string
  clientConfig: { service?: { namespace: string; name: string } }
  namespaceSelector?: LabelSelector
  objectSelector?: LabelSelector
  rules?: { resources?: string[] }[]
}

interface Endpoint {
  conditions?: { ready?: boolean }
  nodeName?: string
}

/**
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#failure-policy ; a ready endpoint is
 * one that is not said to be otherwise (discovery.k8s.io/v1).
 */
const webhooksAnswer: PreflightCheck = {
  name: 'No webhook with failurePolicy Fail is without its backend',
  run: async (context) => {
    const api = await context.api()
    const [webhooks, endpoints] = await Promise.all([failing(api), endpointsByService(api)])
    const found = webhooks.map(async ({ configuration, webhook, service }): Promise<Finding[]> => {
      const ready = (endpoints.get(service) ?? []).filter(({ conditions }) => conditions?.ready !== false)
      const asked = (webhook.rules ?? []).flatMap(({ resources = [] }) => resources)
      const isInTheWay = await concernsTonight(api, asked, webhook)
      const common = { subject: `${webhook.name} of ${configuration}` }
      if (ready.length === 0) {
        return [
          {
            ...common,
            evidence: `Service ${service} has no ready endpoint: every change of ${asked.join(', ') || 'nothing'} is refused`,
            severity: isInTheWay ? 'error' : 'warning',
            wayOut: 'Bring its pods up, or delete the configuration if what it belongs to is gone.',
          },
        ]
      }
      const { nodeName } = context.settings
      if (!isInTheWay || ready.some((endpoint) => endpoint.nodeName !== nodeName)) return []
      return [
        {
          ...common,
          evidence: `Service ${service} has its endpoints on ${nodeName} alone: while they are away, no change of ${asked.join(', ')} is accepted`,
          severity: 'warning',
          wayOut: 'A second replica on another node; or failurePolicy: Ignore for the evening, in Git as well.',
        },
      ]
    })
    return (await Promise.all(found)).flat()
  },
}

async function failing(api: KubernetesApi) {
  const kinds = ['ValidatingWebhookConfiguration', 'MutatingWebhookConfiguration']
  const lists = await Promise.all(
    kinds.map(async (kind) => {
      const path = `/apis/admissionregistration.k8s.io/v1/${kind.toLowerCase()}s`
      const configurations = await api.list<KubernetesObject & { webhooks?: Webhook[] }>(path)
      return configurations.flatMap(({ metadata, webhooks = [] }) =>
        webhooks.map((webhook) => ({ configuration: `${kind} ${metadata.name}`, webhook })),
      )
    }),
  )
  return lists.flat().flatMap(({ configuration, webhook }) => {
    const { service } = webhook.clientConfig
    if (webhook.failurePolicy === 'Ignore' || service === undefined) return []
    return [{ configuration, webhook, service: `${service.namespace}/${service.name}` }]
  })
}

async function endpointsByService(api: KubernetesApi): Promise<Map<string, Endpoint[]>> {
  const slices = await api.list<KubernetesObject & { endpoints?: Endpoint[] | null }>(
    '/apis/discovery.k8s.io/v1/endpointslices',
  )
  const found = new Map<string, Endpoint[]>()
  for (const { metadata, endpoints } of slices) {
    const service = `${metadata.namespace}/${metadata.labels?.['kubernetes.io/service-name']}`
    found.set(service, [...(found.get(service) ?? []), ...(endpoints ?? [])])
  }
  return found
}

export const webhookChecks: readonly PreflightCheck[] = [webhooksAnswer]
