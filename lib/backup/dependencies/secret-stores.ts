import type { KubernetesObject } from '../../kubernetes/api.ts'
import { type Reader, type Spec, specOf, titleOf } from '../../kubernetes/reader.ts'
import { imageOf, type SecretName, secretsOf, type Template, variablesOf } from '../../kubernetes/templates.ts'

/** A store of External Secrets Operator: without its credential no ExternalSecret is synced again. */
export type SecretStore = {
  store: string
  provider: string
  server: string | null
  vaults: string[]
  credentials: SecretName[]
}

/** 1Password's own servers in the cluster, with the Secrets that hold their credentials. */
export type OnePasswordServer = {
  workload: string
  image: string
  connectHost: string | null
  credentials: SecretName[]
}

/**
 * Source: https://external-secrets.io/latest/api/secretstore/ ; each provider is a field of its own under spec.provider, and whatever
 * names a Secret does so below a field that ends in secretRef.
 */
export async function findSecretStores(reader: Reader): Promise<SecretStore[]> {
  const kinds = ['clustersecretstores', 'secretstores']
  const lists = await Promise.all(
    kinds.map((kind) => reader.pick('external-secrets.io', kind, (each) => [storeOf(each)])),
  )
  return lists.flat()
}

function storeOf(store: KubernetesObject): SecretStore {
  const { provider = {} } = specOf(store) as { provider?: Record<string, Spec> }
  const [name = 'unknown', settings = {}] = Object.entries(provider)[0] ?? []
  const server = settings.connectHost ?? settings.server ?? settings.url ?? settings.apiUrl
  return {
    store: titleOf(store),
    provider: name,
    server: typeof server === 'string' ? server : null,
    vaults: vaultsOf(settings),
    credentials: secretsBelow(settings, store.metadata.namespace ?? '', false),
  }
}

/** 1Password: `vaults` has their names as keys, or `vault` is the one. */
function vaultsOf({ vaults, vault }: Spec): string[] {
  if (typeof vaults === 'object' && vaults !== null) return Object.keys(vaults)
  return typeof vault === 'string' ? [vault] : []
}

function secretsBelow(value: unknown, namespace: string, isReference: boolean): SecretName[] {
  if (typeof value !== 'object' || value === null) return []
  const { name, key, namespace: other, type } = value as Spec
  const isSecret = isReference || (type === 'Secret' && typeof key === 'string')
  if (isSecret && typeof name === 'string') {
    const where = typeof other === 'string' ? other : namespace
    return [{ secret: where === '' ? name : `${where}/${name}`, key: typeof key === 'string' ? key : null }]
  }
  return Object.entries(value).flatMap(([field, below]) =>
    secretsBelow(below, namespace, isReference || /secretRef$/i.test(field)),
  )
}

const images = /1password\/(connect-(api|sync)|onepassword-operator)/
const variables = ['OP_SESSION', 'OP_CONNECT_TOKEN', 'OP_SERVICE_ACCOUNT_TOKEN']

/** Sources: https://developer.1password.com/docs/connect/ , https://github.com/1Password/onepassword-operator */
export function findOnePassword(templates: readonly Template[]): OnePasswordServer[] {
  return templates.flatMap((template) => {
    const image = imageOf(template, images)
    const told = variablesOf(template)
    if (image === undefined && !told.some(({ name }) => variables.includes(name))) return []
    return {
      workload: template.owner,
      image: image ?? imageOf(template, /./) ?? '',
      connectHost: told.find(({ name }) => name === 'OP_CONNECT_HOST')?.value ?? null,
      credentials: secretsOf(template),
    }
  })
}
