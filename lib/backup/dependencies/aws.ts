import { type Reader, specOf, titleOf } from '../../kubernetes/reader.ts'
import { type SecretName, type Template, variablesOf } from '../../kubernetes/templates.ts'
import type { ConfigMap } from './config-maps.ts'

/** What the cluster shows of AWS. Security groups and the like are not to be seen from here. */
export type Aws = {
  nodes: { node: string; zone: string; instance: string }[]
  /** roles that pods take through their ServiceAccount (IRSA) */
  roles: { serviceAccount: string; role: string }[]
  /** AWS_* variables of workloads and ConfigMaps: region, role, endpoint with their value; of all others the name alone */
  settings: { where: string; name: string; value: string | null }[]
  credentials: (SecretName & { usedBy: string })[]
  /** zones in which cert-manager proves that a name is ours */
  hostedZones: { issuer: string; region: string | null; zone: string | null }[]
}

const told = /^AWS_(REGION|DEFAULT_REGION|PROFILE|ROLE_ARN|ENDPOINT_URL(_[A-Z0-9]+)?)$/

/** Sources: https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html , https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html */
export async function findAws(
  reader: Reader,
  templates: readonly Template[],
  configMaps: readonly ConfigMap[],
): Promise<Aws> {
  const variables = templates.flatMap((template) =>
    variablesOf(template)
      .filter(({ name }) => name.startsWith('AWS_'))
      .map((variable) => ({ ...variable, template })),
  )
  return {
    nodes: await reader.pick('', 'nodes', (node) => instanceOf(node.metadata.name, specOf(node).providerID)),
    roles: await reader.pick('', 'serviceaccounts', ({ metadata }) => {
      const role = metadata.annotations?.['eks.amazonaws.com/role-arn']
      return role === undefined ? [] : [{ serviceAccount: `${metadata.namespace}/${metadata.name}`, role }]
    }),
    settings: [
      ...variables.map(({ name, value, template }) => settingOf(template.owner, name, value)),
      ...configMaps.flatMap(({ namespace, name: configMap, data }) =>
        Object.entries(data)
          .filter(([name]) => name.startsWith('AWS_'))
          .map(([name, value]) => settingOf(`ConfigMap ${namespace}/${configMap}`, name, value)),
      ),
    ],
    credentials: variables.flatMap(({ valueFrom, template: { namespace, owner } }) => {
      const secret = valueFrom?.secretKeyRef
      return secret ? [{ secret: `${namespace}/${secret.name}`, key: secret.key, usedBy: owner }] : []
    }),
    hostedZones: [...(await hostedZones(reader, 'clusterissuers')), ...(await hostedZones(reader, 'issuers'))],
  }
}

const settingOf = (where: string, name: string, value: string | undefined) => ({
  where,
  name,
  value: told.test(name) ? (value ?? null) : null,
})

/** A provider id of AWS: aws:///eu-central-1a/i-0123456789abcdef0 */
function instanceOf(node: string, providerId: unknown): Aws['nodes'] {
  const parts = typeof providerId === 'string' ? /^aws:\/\/\/([^/]+)\/(.+)$/.exec(providerId) : null
  return parts ? [{ node, zone: parts[1] ?? '', instance: parts[2] ?? '' }] : []
}

/** Source: https://cert-manager.io/docs/configuration/acme/dns01/route53/ */
async function hostedZones(reader: Reader, resource: string): Promise<Aws['hostedZones']> {
  return reader.pick('cert-manager.io', resource, (issuer) => {
    const { acme } = specOf(issuer) as {
      acme?: { solvers?: { dns01?: { route53?: { region?: string; hostedZoneID?: string } } }[] }
    }
    return (acme?.solvers ?? []).flatMap(({ dns01 }) => {
      const { region = null, hostedZoneID = null } = dns01?.route53 ?? {}
      return dns01?.route53 ? [{ issuer: titleOf(issuer), region, zone: hostedZoneID }] : []
    })
  })
}
