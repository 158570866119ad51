import { readFile } from 'node:fs/promises'
import writeFileAtomic from 'write-file-atomic'
import { parse, stringify } from 'yaml'
import * as z from 'zod'
import { OperatorError } from '../../migration/errors.ts'
import type { Migration } from '../../migration/migration.ts'
import { keepPrevious } from '../kubeconfig.ts'
import type { JoiningNode } from './nodes.ts'

const named = z.object({ name: z.string() }).loose()
const kubeconfig = z
  .object({
    'current-context': z.string(),
    clusters: z.array(named.extend({ cluster: z.object({ server: z.string() }).loose() })),
    contexts: z.array(named.extend({ context: z.object({ cluster: z.string(), user: z.string() }).loose() })),
  })
  .loose()
type Kubeconfig = z.output<typeof kubeconfig>

const separator = '.via-'

/**
 * Gives the kubeconfig one context for each control plane, `CONTEXT.via-NAME`, that goes to this machine's API server. The current one stays as it
 * is, with the cluster's endpoint. The previous file is kept, encrypted, in the run's folder.
 * @param encrypt writes its first argument, encrypted, to the path of its second
 */
export async function setWaysToApi(
  migration: Migration,
  controlPlanes: readonly JoiningNode[],
  encrypt: (plain: Buffer, path: string) => Promise<void>,
): Promise<void> {
  const path = migration.settings.kubeconfig
  const text = await readFile(path, 'utf8')
  const wanted = withWays(text, path, controlPlanes)
  if (wanted === withWays(text, path, null)) return
  const previous = migration.dryRun ? null : await keepPrevious(path, migration.runFolder, encrypt)
  const names = controlPlanes.map(({ name }) => name).join(', ')
  await migration.change(`Give ${path} a context for each of ${names}`, {
    undo: { kind: 'kubeconfig', path, previous },
    apply: () => writeFileAtomic(path, wanted, { mode: 0o600 }),
  })
}

/**
 * The URL of a control plane's own API server: that of the endpoint, at its address.
 * @param endpoint such as https://192.168.1.54:6443
 */
export function apiServerAt(endpoint: string, address: string): string {
  const port = new URL(endpoint).port || '443'
  return `https://${address.includes(':') ? `[${address}]` : address}:${port}`
}

/**
 * The text of a kubeconfig whose current context goes to one machine's API server. Its certificate is good for the machine's own address.
 * @param path of the kubeconfig
 */
export async function kubeconfigFor(path: string, { address }: Pick<JoiningNode, 'address'>): Promise<string> {
  const read = kubeconfig.safeParse(parse(await readFile(path, 'utf8'), { prettyErrors: false }))
  if (!read.success) throw notAKubeconfig(path)
  const clusters = read.data.clusters.map(({ name, cluster }) => ({
    name,
    cluster: { ...cluster, server: apiServerAt(cluster.server, address) },
  }))
  return stringify({ ...read.data, clusters })
}

/** @param controlPlanes null: the text as it is, in the same layout */
function withWays(text: string, path: string, controlPlanes: readonly JoiningNode[] | null): string {
  const read = kubeconfig.safeParse(parse(text, { prettyErrors: false }))
  if (!read.success) throw notAKubeconfig(path)
  const file = read.data
  if (controlPlanes === null) return stringify(file, { lineWidth: 0 })
  const context = file.contexts.find(({ name }) => name === file['current-context'])
  const cluster = file.clusters.find(({ name }) => name === context?.context.cluster)
  if (!context || !cluster) throw notAKubeconfig(path)
  const ways = controlPlanes.map(({ name, address }) => ({
    cluster: {
      name: `${cluster.name}${separator}${name}`,
      cluster: { ...cluster.cluster, server: apiServerAt(cluster.cluster.server, address) },
    },
    context: {
      name: `${context.name}${separator}${name}`,
      context: { ...context.context, cluster: `${cluster.name}${separator}${name}` },
    },
  }))
  const withoutOld = <T extends { name: string }>(all: T[], own: string) =>
    all.filter(({ name }) => !name.startsWith(`${own}${separator}`))
  const next: Kubeconfig = {
    ...file,
    clusters: [...withoutOld(file.clusters, cluster.name), ...ways.map((way) => way.cluster)],
    contexts: [...withoutOld(file.contexts, context.name), ...ways.map((way) => way.context)],
  }
  return stringify(next, { lineWidth: 0 })
}

function notAKubeconfig(path: string): OperatorError {
  return new OperatorError(`${path} is no kubeconfig with a current context.`, {
    next: 'Set KUBECONFIG to the file, or fetch one: task talos:kubeconfig',
  })
}
