import type { KubernetesApi, KubernetesObject } from '../../kubernetes/api.ts'
import type { ListableResource } from '../../kubernetes/discovery.ts'
import { type Reader, readerOf } from '../../kubernetes/reader.ts'
import { readTemplates, type Template } from '../../kubernetes/templates.ts'
import type { Clock } from '../../migration/clock.ts'
import type { Settings } from '../../settings.ts'
import { type NebulaSettings, parseNebulaConfig } from './config.ts'
import type { NebulaCert, NebulaCertificate } from './nebula-cert.ts'
import { nebulaWorkloads } from './workloads.ts'

/** One key of a ConfigMap or Secret. */
export interface Place {
  readonly kind: 'ConfigMap' | 'Secret'
  readonly namespace: string
  readonly name: string
  readonly key: string
}

/** A certificate, where it lies, and its PEM: certificates are public. */
export interface StoredCertificate extends NebulaCertificate {
  readonly place: Place
  readonly pem: string
  /** whether the key holds this certificate and nothing else */
  readonly alone: boolean
}

/** A config file of Nebula, with its text; no key in it is ever shown. */
export interface StoredConfig extends NebulaSettings {
  readonly place: Place
  readonly text: string
}

/** What a cluster has of Nebula. */
export interface NebulaFacts {
  readonly workloads: readonly Template[]
  readonly certificates: readonly StoredCertificate[]
  readonly configs: readonly StoredConfig[]
  /** what the API refused, with its reason: it may lack above */
  readonly refused: readonly string[]
}

interface Entry {
  place: Place
  text: string
}

const certificatePattern = /-----BEGIN NEBULA CERTIFICATE( V2)?-----[\s\S]*?-----END NEBULA CERTIFICATE( V2)?-----/g

/** Where all of it lies: in groups that every API server has, at their only version. */
const builtIn = [
  ...['configmaps', 'secrets', 'pods'].map((resource) => collection('', resource)),
  ...['deployments', 'statefulsets', 'daemonsets'].map((resource) => collection('apps', resource)),
  ...['cronjobs', 'jobs'].map((resource) => collection('batch', resource)),
]

function collection(group: string, resource: string): ListableResource {
  const path = `${group === '' ? '/api' : `/apis/${group}`}/v1/${resource}`
  return { group, version: 'v1', resource, kind: '', namespaced: true, path }
}

type Meant = Pick<Settings, 'nebulaNamespace' | 'nebulaSecret'>

/**
 * Reads what runs Nebula, its certificates (from Secrets and ConfigMaps, for its image has no shell to ask in), and its config files.
 * @param nebulaCert asked for only when there is a certificate to read
 * @returns null when the cluster has nothing of Nebula
 * @throws OperatorError when a certificate cannot be read
 */
export async function nebulaFacts(
  api: KubernetesApi,
  settings: Meant,
  clock: Clock,
  nebulaCert: () => Promise<NebulaCert>,
): Promise<NebulaFacts | null> {
  const reader = readerOf(api, { resources: builtIn }, clock)
  const entries = await entriesOf(reader, settings)
  const withCertificates = entries.filter((entry) => isMeant(entry, settings))
  const secrets = new Set(withCertificates.map(({ place }) => `${place.namespace}/${place.name}`))
  const templates = (await readTemplates(reader)).filter(
    ({ namespace }) => settings.nebulaNamespace === undefined || namespace === settings.nebulaNamespace,
  )
  const workloads = nebulaWorkloads(templates, secrets)
  const configs = entries.flatMap(configIn)
  if (workloads.length + withCertificates.length + configs.length === 0) return null
  const certificates = await certificatesOf(withCertificates, nebulaCert)
  return { workloads, certificates, configs, refused: reader.refused }
}

/** The certificates alone; the rest as for nebulaFacts. */
export async function nebulaCertificates(
  api: KubernetesApi,
  settings: Meant,
  clock: Clock,
  nebulaCert: () => Promise<NebulaCert>,
): Promise<Pick<NebulaFacts, 'certificates' | 'refused'>> {
  const reader = readerOf(api, { resources: builtIn }, clock)
  const entries = await entriesOf(reader, settings)
  const withCertificates = entries.filter((entry) => isMeant(entry, settings))
  return { certificates: await certificatesOf(withCertificates, nebulaCert), refused: reader.refused }
}

async function entriesOf(reader: Reader, { nebulaNamespace }: Meant): Promise<Entry[]> {
  const kinds = ['ConfigMap', 'Secret'] as const
  return (await Promise.all(kinds.map((kind) => entriesIn(reader, kind, nebulaNamespace)))).flat()
}

async function certificatesOf(
  entries: readonly Entry[],
  nebulaCert: () => Promise<NebulaCert>,
): Promise<StoredCertificate[]> {
  if (entries.length === 0) return []
  const tool = await nebulaCert()
  return (await Promise.all(entries.map((entry) => certificatesIn(entry, tool)))).flat()
}

/** The certificate that is for an address in the mesh, undefined if no Secret has one. */
export function certificateFor(facts: NebulaFacts, address: string): StoredCertificate | undefined {
  return facts.certificates.find(
    ({ isCa, networks }) => !isCa && networks.some((network) => addressOf(network) === address),
  )
}

/** `10.42.1.1/16` is 10.42.1.1. */
export function addressOf(network: string): string {
  return network.split('/')[0] ?? ''
}

/** `Secret nebula-system/nebula-certs, host.crt` */
export function describePlace({ kind, namespace, name, key }: Place): string {
  return `${kind} ${namespace}/${name}, ${key}`
}

export function pathOf({ kind, namespace, name }: Omit<Place, 'key'>): string {
  return `/api/v1/namespaces/${namespace}/${kind === 'Secret' ? 'secrets' : 'configmaps'}/${name}`
}

/** The value of one key as text; undefined when it is not there. */
export function textIn(
  object: KubernetesObject | null,
  { kind, key }: Pick<Place, 'kind' | 'key'>,
): string | undefined {
  const value = ((object?.data ?? {}) as Record<string, string>)[key]
  return value === undefined || kind === 'ConfigMap' ? value : Buffer.from(value, 'base64').toString('utf8')
}

/** The text as the API has it in an object of that kind. */
export function encoded(kind: Place['kind'], text: string): string {
  return kind === 'ConfigMap' ? text : Buffer.from(text).toString('base64')
}

/** Keeps only what is of Nebula: of all other Secrets nothing stays in memory. */
async function entriesIn(reader: Reader, kind: Place['kind'], only: string | undefined): Promise<Entry[]> {
  return reader.pick('', kind === 'Secret' ? 'secrets' : 'configmaps', (object) => {
    const { namespace = '', name } = object.metadata
    if (only !== undefined && namespace !== only) return []
    return Object.keys((object.data ?? {}) as object).flatMap((key) => {
      const text = textIn(object, { kind, key }) ?? ''
      if (!holdsCertificate(text) && parseNebulaConfig(text) === undefined) return []
      return [{ place: { kind, namespace, name, key }, text }]
    })
  })
}

function holdsCertificate(text: string): boolean {
  return text.includes('-----BEGIN NEBULA CERTIFICATE')
}

function isMeant({ place: { kind, name }, text }: Entry, { nebulaSecret }: Meant): boolean {
  return holdsCertificate(text) && (nebulaSecret === undefined || kind === 'ConfigMap' || name === nebulaSecret)
}

function configIn({ place, text }: Entry): StoredConfig[] {
  const config = parseNebulaConfig(text)
  return config ? [{ place, text, ...config }] : []
}

async function certificatesIn({ place, text }: Entry, nebulaCert: NebulaCert): Promise<StoredCertificate[]> {
  // In a config file they are indented.
  const pems = (text.match(certificatePattern) ?? []).map((pem) => `${pem.replaceAll(/^[ \t]+/gm, '')}\n`)
  const alone = pems.length === 1 && text.trim() === pems[0]?.trim()
  const found = await nebulaCert.print(pems.join(''), describePlace(place))
  return found.map((certificate, index) => ({ ...certificate, place, pem: pems[index] ?? '', alone }))
}
