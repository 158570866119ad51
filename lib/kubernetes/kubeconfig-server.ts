import { readFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { type Document, isAlias, isMap, isScalar, isSeq, parse, parseDocument } from 'yaml'
import * as z from 'zod'
import { messageOf, OperatorError } from '../migration/errors.ts'
import type { JournaledChange, Migration, Undone } from '../migration/migration.ts'
import { distinctFiles, replaceFile } from '../migration/operator-files.ts'
import { type Move, movedUrl } from '../network/addresses.ts'

export const kubeconfigServerUndoKind = 'kubeconfig-server'
/** Each server as it is written in the file, quotes and all. */
const undoSchema = z.object({
  kind: z.literal(kubeconfigServerUndoKind),
  path: z.string(),
  servers: z.array(z.object({ cluster: z.string(), before: z.string(), after: z.string() })),
})

/** Where a cluster entry's server stands in the text of a kubeconfig. */
interface Server {
  readonly cluster: string
  readonly url: string
  readonly start: number
  readonly end: number
}

interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/**
 * Points the cluster entries whose server is an old address at the new one, in each of the kubeconfigs; a file that several of them lead
 * to is edited once. Only the server changes, in the file's own layout: certificate authority, users, contexts and comments stay, byte for byte.
 * Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/#Cluster
 * @param paths those that are not there are passed over
 * @returns how many cluster entries were changed, or would be
 * @throws OperatorError when one cannot be read as a kubeconfig, before any is changed
 */
export async function pointKubeconfigs(
  migration: Migration,
  paths: readonly string[],
  moves: readonly Move[],
): Promise<number> {
  const files = await Promise.all(
    (await distinctFiles(paths)).map(async (path) => ({ path, ...(await readServers(path)) })),
  )
  let changed = 0
  for (const { path, text, servers } of files) {
    const moved = movedServers(text, servers, moves)
    changed += moved.length
    if (moved.length === 0) {
      migration.console.info(`No cluster in ${path} has its server at an old address.`)
      continue
    }
    const named = moved.map(({ cluster, url }) => `${cluster} (${url})`).join(', ')
    await migration.change(`Set the server of ${named} in ${path}`, {
      undo: {
        kind: kubeconfigServerUndoKind,
        path,
        servers: moved.map(({ cluster, before, after }) => ({ cluster, before, after })),
      },
      apply: () => editFile(path, (now, there) => movedServers(now, there, moves)),
    })
  }
  return changed
}

/** Writes the servers as they were, unless somebody has set one to something else meanwhile. */
export async function undoKubeconfigServer(change: Pick<JournaledChange, 'undo'>): Promise<Undone> {
  const { path, servers } = undoSchema.parse(change.undo)
  const file = await readServers(path).catch((error: unknown) => messageOf(error))
  if (typeof file === 'string') return `conflict: ${file}`
  const edits: Edit[] = []
  for (const { cluster, before, after } of servers) {
    const own = file.servers.filter((server) => server.cluster === cluster)
    const written = own.map(({ start, end }) => file.text.slice(start, end))
    if (!written.some((text) => text === after || text === before)) {
      return `conflict: the server of ${cluster} in ${path} is ${own[0]?.url ?? 'not there any more'}`
    }
    for (const { start, end } of own) {
      if (file.text.slice(start, end) === after) edits.push({ start, end, text: before })
    }
  }
  if (edits.length === 0) return 'already'
  await editFile(path, () => edits)
  return 'undone'
}

async function readServers(path: string): Promise<{ text: string; servers: Server[] }> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw unusable(path, messageOf(error))
  })
  const text = bytes.toString('utf8')
  if (!Buffer.from(text).equals(bytes)) throw unusable(path, 'it is not UTF-8')
  const document = parseDocument(text, { prettyErrors: false })
  const [error] = document.errors
  // The parser's own message may quote the file, and that holds keys.
  if (error) throw unusable(path, `it is not YAML (${error.code}, at byte ${error.pos[0]})`)
  return { text, servers: serversIn(document) }
}

function serversIn(document: Document.Parsed): Server[] {
  const clusters = document.get('clusters')
  if (!isSeq(clusters)) return []
  return clusters.items.flatMap((item) => {
    if (!isMap(item)) return []
    const written = item.getIn(['cluster', 'server'], true)
    const server = isAlias(written) ? written.resolve(document) : written
    if (!isScalar(server) || typeof server.value !== 'string' || !server.range) return []
    const [start, end] = server.range
    return [{ cluster: String(item.get('name') ?? ''), url: server.value, start, end }]
  })
}

function movedServers(text: string, servers: readonly Server[], moves: readonly Move[]) {
  return servers.flatMap(({ cluster, url, start, end }, index) => {
    const moved = movedUrl(url, moves)
    // An anchor that several entries share is one place.
    if (moved === undefined || servers.findIndex((other) => other.start === start) !== index) return []
    const before = text.slice(start, end)
    const after = before.includes(url) ? before.replace(url, () => moved) : JSON.stringify(moved)
    return [{ cluster, url: moved, start, end, before, after, text: after }]
  })
}

async function editFile(path: string, editsIn: (text: string, servers: Server[]) => Edit[]): Promise<void> {
  const { text, servers } = await readServers(path)
  const edits = editsIn(text, servers).toSorted((a, b) => b.start - a.start)
  if (edits.length === 0) return
  const edited = edits.reduce((now, { start, end, text: put }) => now.slice(0, start) + put + now.slice(end), text)
  if (!isDeepStrictEqual(withoutServers(edited), withoutServers(text))) {
    throw new Error(`the edit of ${path} would change more than its servers`)
  }
  await replaceFile(path, Buffer.from(edited))
}

function withoutServers(text: string): unknown {
  const { clusters = [], ...rest } = parse(text, { prettyErrors: false }) as { clusters?: { cluster?: object }[] }
  return { ...rest, clusters: clusters.map((entry) => ({ ...entry, cluster: { ...entry.cluster, server: '' } })) }
}

function unusable(path: string, why: string): OperatorError {
  return new OperatorError(`${path} is not a usable kubeconfig: ${why}.`, {
    means: 'It may hold the old address. Nothing was changed.',
    next: 'Mend it, or set KUBECONFIG and OPERATOR_KUBECONFIG to the files that you use.',
  })
}
