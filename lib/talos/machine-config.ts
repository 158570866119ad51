import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { parseAllDocuments } from 'yaml'
import * as z from 'zod'
import { OperatorError } from '../migration/errors.ts'
import { mainDocument } from './config-fields.ts'
import type { EncryptionKeys } from './snapshot/decrypt.ts'
import type { Talosctl, Target } from './talosctl.ts'

const pair = z.object({ crt: z.string(), key: z.string().optional() }).loose()
const image = z.object({ image: z.string().optional() }).loose()
const diskSelector = z.record(z.string(), z.unknown())
const v1alpha1 = z.object({
  machine: z
    .object({
      type: z.enum(['controlplane', 'init', 'worker']),
      ca: pair,
      network: z.object({ hostname: z.string().optional() }).loose().nullish(),
      install: z
        .object({ disk: z.string().optional(), diskSelector: diskSelector.optional(), image: z.string().optional() })
        .loose()
        .nullish(),
      kubelet: image.nullish(),
    })
    .loose(),
  cluster: z
    .object({
      clusterName: z.string().optional(),
      controlPlane: z.object({ endpoint: z.string() }).loose(),
      ca: pair.optional(),
      etcd: z.object({ ca: pair.optional() }).loose().nullish(),
      apiServer: image.nullish(),
      serviceAccount: z.object({ key: z.string() }).loose().nullish(),
      secretboxEncryptionSecret: z.string().optional(),
      aescbcEncryptionSecret: z.string().optional(),
    })
    .loose(),
})
const strings = z.array(z.string()).nullish()
const networks = z.object({
  machine: z.object({
    network: z.object({ interfaces: z.array(z.object({ addresses: strings })).nullish() }).nullish(),
  }),
  cluster: z.object({ network: z.object({ podSubnets: strings, serviceSubnets: strings }).nullish() }),
})
type V1Alpha1 = z.output<typeof v1alpha1>

/** What the migration needs to know of a Talos machine config. Holds secrets: never journaled, never printed. */
export interface MachineConfig {
  /** the whole text, all documents, as it was read */
  readonly text: string
  /** where it was read from, for messages */
  readonly origin: string
  readonly hostname: string | undefined
  readonly type: 'controlplane' | 'init' | 'worker'
  readonly clusterName: string | undefined
  /** cluster.controlPlane.endpoint, a URL */
  readonly endpoint: string
  /** SHA-256 fingerprints, colon separated, of the three authorities; undefined where a worker has none */
  readonly fingerprints: { readonly talos: string; readonly kubernetes?: string; readonly etcd?: string }
  /** the Kubernetes authority's certificate, PEM */
  readonly kubernetesCa: string | undefined
  readonly encryption: EncryptionKeys
  /** the etcd authority's private key as the config has it; only control planes have one */
  readonly etcdAuthorityKey: string | undefined
  /** by the tags of the images that it names; undefined where it leaves the choice to Talos, or names a digest */
  readonly versions: { readonly talos: string | undefined; readonly kubernetes: string | undefined }
  readonly install: { readonly disk: string | undefined; readonly selector: Record<string, unknown> | undefined }
}

/**
 * Reads a machine config of one or several YAML documents (Talos reference, "v1alpha1 Config").
 * @param origin the file it comes from, for messages; no message ever quotes the text
 * @throws OperatorError when it is not YAML or not a machine config
 */
export function parseMachineConfig(text: string | Buffer, origin: string): MachineConfig {
  const source = text.toString()
  const documents = parseAllDocuments(source, { prettyErrors: true })
  if (!Array.isArray(documents)) throw notAConfig(origin, 'it is empty')
  const objects = documents.map((document) => {
    const error = document.errors[0]
    if (error) throw notAConfig(origin, `line ${error.linePos?.[0].line ?? '?'} is not YAML (${error.code})`)
    return document.toJS() as unknown
  })
  const main = objects.find((object) => isRecord(object) && object.version === 'v1alpha1')
  if (!main) throw notAConfig(origin, 'it has no document with "version: v1alpha1"')
  const parsed = v1alpha1.safeParse(main)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    throw notAConfig(origin, problems.join('; '))
  }
  const named = objects.find((object) => isRecord(object) && object.kind === 'HostnameConfig')
  const hostname = isRecord(named) && typeof named.hostname === 'string' ? named.hostname : undefined
  return fromDocument(source, origin, parsed.data, hostname)
}

function fromDocument(text: string, origin: string, config: V1Alpha1, hostname: string | undefined): MachineConfig {
  const { machine, cluster } = config
  const kubernetes = cluster.ca && certificate(cluster.ca.crt, origin, 'cluster.ca')
  const etcd = cluster.etcd?.ca && certificate(cluster.etcd.ca.crt, origin, 'cluster.etcd.ca')
  return {
    text,
    origin,
    hostname: machine.network?.hostname ?? hostname,
    type: machine.type,
    clusterName: cluster.clusterName,
    endpoint: cluster.controlPlane.endpoint,
    fingerprints: {
      talos: certificate(machine.ca.crt, origin, 'machine.ca').fingerprint256,
      ...(kubernetes ? { kubernetes: kubernetes.fingerprint256 } : {}),
      ...(etcd ? { etcd: etcd.fingerprint256 } : {}),
    },
    kubernetesCa: kubernetes?.toString(),
    encryption: {
      ...(cluster.secretboxEncryptionSecret ? { secretbox: decodeKey(cluster.secretboxEncryptionSecret) } : {}),
      ...(cluster.aescbcEncryptionSecret ? { aescbc: decodeKey(cluster.aescbcEncryptionSecret) } : {}),
    },
    etcdAuthorityKey: cluster.etcd?.ca?.key,
    versions: {
      talos: tagOf(machine.install?.image),
      kubernetes: tagOf(cluster.apiServer?.image) ?? tagOf(machine.kubelet?.image),
    },
    install: { disk: machine.install?.disk, selector: machine.install?.diskSelector },
  }
}

/** The networks that a config names, as it writes them; Talos' own choice where it names none (Talos reference, "ClusterNetworkConfig"). */
export function networksOf(config: MachineConfig): { pods: string[]; services: string[]; addresses: string[] } {
  const { machine, cluster } = networks.parse(mainDocument(config.text))
  return {
    pods: cluster.network?.podSubnets ?? ['10.244.0.0/16'],
    services: cluster.network?.serviceSubnets ?? ['10.96.0.0/12'],
    addresses: (machine.network?.interfaces ?? []).flatMap(({ addresses }) => addresses ?? []),
  }
}

/**
 * Reads the machine config file of a control plane node.
 * @throws OperatorError when the file is absent or not the config of a control plane machine
 */
export async function readControlPlaneConfig(path: string): Promise<MachineConfig> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new OperatorError(
      `The control plane's machine config cannot be read: ${path} (${cause.code ?? cause.message}).`,
      {
        next: 'Set CONTROLPLANE_CONFIG to it. Do not make a new one: without the secrets bundle it belongs to another cluster.',
        cause,
      },
    )
  })
  const config = parseMachineConfig(text, path)
  if (config.type === 'worker') {
    throw new OperatorError(`${path} is the machine config of a worker.`, {
      means: 'A worker runs no etcd and no API server.',
      next: 'Set CONTROLPLANE_CONFIG to the config of a control plane machine.',
    })
  }
  return config
}

/** The config that a machine runs on at this moment, with all its documents: `talosctl get machineconfig v1alpha1`. */
export async function liveMachineConfig(talosctl: Talosctl, target: Target): Promise<Buffer> {
  const found = await talosctl.resources(target, 'machineconfig', z.string(), { id: 'v1alpha1' })
  const text = found[0]?.spec
  if (text) return Buffer.from(text)
  throw new OperatorError(`The machine at ${target.address} has no machine config.`, {
    means: 'Either it is in maintenance mode, or the talosconfig may not read secrets (its role is not os:admin).',
  })
}

/**
 * Lets talosctl judge a config, as Talos on bare metal would.
 * @throws OperatorError with talosctl's findings
 */
export async function validateMachineConfig(talosctl: Talosctl, config: MachineConfig): Promise<void> {
  const call = talosctl.local(['validate', '--mode', 'metal', '--config', '/dev/stdin'], { input: config.text })
  await call.catch((cause: unknown) => {
    throw new OperatorError(`${config.origin} is not a valid machine config for bare metal.`, {
      means: cause instanceof Error ? cause.message : String(cause),
      next: 'Correct the file; nothing was applied.',
    })
  })
}

/**
 * Which secrets two configs do not share, in words; empty when both come from one secrets bundle.
 * A snapshot, a talosconfig and the workers all depend on these.
 */
export function differingSecrets(one: MachineConfig, other: MachineConfig): string[] {
  const pairs: [string, string | undefined, string | undefined][] = [
    ['Talos CA (machine.ca)', one.fingerprints.talos, other.fingerprints.talos],
    ['Kubernetes CA (cluster.ca)', one.fingerprints.kubernetes, other.fingerprints.kubernetes],
    ['etcd CA (cluster.etcd.ca)', one.fingerprints.etcd, other.fingerprints.etcd],
    ['secretbox key', one.encryption.secretbox?.toString('hex'), other.encryption.secretbox?.toString('hex')],
    ['AES-CBC key', one.encryption.aescbc?.toString('hex'), other.encryption.aescbc?.toString('hex')],
  ]
  return pairs.filter(([, a, b]) => a !== b).map(([name]) => name)
}

/**
 * The config with its hostname pinned, through `talosctl machineconfig patch`: without it new hardware gets a name made from
 * its own identity (machine.features.stableHostname), and so another Node.
 */
export async function pinHostname(talosctl: Talosctl, config: MachineConfig, hostname: string): Promise<MachineConfig> {
  const patch = JSON.stringify({ machine: { network: { hostname } } })
  const { stdout } = await talosctl.local(['machineconfig', 'patch', '/dev/stdin', '--patch', patch], {
    input: config.text,
  })
  return parseMachineConfig(stdout, `${config.origin} (hostname pinned)`)
}

function certificate(base64: string, origin: string, field: string): X509Certificate {
  try {
    return new X509Certificate(Buffer.from(base64, 'base64'))
  } catch {
    throw notAConfig(origin, `${field}.crt is not a base64 encoded certificate`)
  }
}

/** `ghcr.io/siderolabs/installer:v1.11.1` → `v1.11.1`. */
function tagOf(reference: string | undefined): string | undefined {
  return reference && /:(v\d+\.\d+\.\d+[^/@]*)(@.*)?$/.exec(reference)?.[1]
}

function decodeKey(base64: string): Buffer {
  return Buffer.from(base64, 'base64')
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function notAConfig(origin: string, why: string): OperatorError {
  return new OperatorError(`${origin} is not a Talos machine config: ${why}.`, {
    next: 'Correct the file, or set CONTROLPLANE_CONFIG to the right one.',
  })
}
