import { readFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import writeFileAtomic from 'write-file-atomic'
import { parse, parseDocument } from 'yaml'
import { z } from 'zod'
import { OperatorError } from '../../migration/errors.ts'
import type { Migration, Undone } from '../../migration/migration.ts'
import { type Address, parseAddress } from '../../network/addresses.ts'
import type { Settings } from '../../settings.ts'

const talosconfig = z.object({
  context: z.string(),
  contexts: z.record(z.string(), z.object({ endpoints: z.array(z.string()).nullish() }).loose()),
})

export const endpointsUndoKind = 'talosconfig-endpoints'
const undoSchema = z.object({
  kind: z.literal(endpointsUndoKind),
  path: z.string(),
  context: z.string(),
  before: z.array(z.string()),
  after: z.array(z.string()),
})

/**
 * Where the control plane may be asked: TALOS_NODE first, then the endpoints of the talosconfig that are addresses. One of them may be dead.
 * @throws OperatorError when there is no usable talosconfig
 */
export async function waysIn(settings: Pick<Settings, 'nodeAddress' | 'talosconfig'>): Promise<Address[]> {
  const { endpoints } = await current(settings.talosconfig)
  const addresses = endpoints.filter((endpoint) => /^[\d.]+$|:.*:/.test(endpoint))
  const all = [settings.nodeAddress, ...addresses].map((each) => parseAddress(each, 'TALOS_NODE or TALOSCONFIG'))
  return [...new Set(all)]
}

/** The endpoints of the talosconfig's current context, as they are written. @throws OperatorError when it is not usable */
export async function talosconfigEndpoints(path: string): Promise<string[]> {
  return (await current(path)).endpoints
}

/**
 * Makes the talosconfig's endpoints the control plane machines: talosctl goes to another one when one does not answer. Names and load
 * balancers among them stay, behind. Other contexts are left alone.
 */
export async function setEndpoints(
  migration: Migration,
  controlPlanes: readonly Address[],
  gone: readonly Address[] = [],
): Promise<void> {
  const path = migration.settings.talosconfig
  const { context, endpoints: before } = await current(path)
  const others = before.filter((endpoint) => ![...controlPlanes, ...gone].some((address) => address === endpoint))
  const after = [...controlPlanes, ...others]
  if (isDeepStrictEqual(before, after)) return
  await migration.change(`Set the endpoints of ${path} to ${after.join(', ')}`, {
    undo: { kind: endpointsUndoKind, path, context, before, after },
    apply: () => write(path, context, after),
  })
}

/** Gives the talosconfig its former endpoints, unless somebody has changed them since. */
export async function undoEndpoints(undo: unknown): Promise<Undone> {
  const { path, context, before, after } = undoSchema.parse(undo)
  const now = (await current(path, context)).endpoints
  if (isDeepStrictEqual(now, before)) return 'already'
  if (!isDeepStrictEqual(now, after)) return `conflict: its endpoints are ${now.join(', ')} by now`
  await write(path, context, before)
  return 'undone'
}

async function current(path: string, wanted?: string): Promise<{ context: string; endpoints: string[] }> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => unusable(path, cause))
  const read = talosconfig.safeParse(parse(text, { prettyErrors: false }))
  if (!read.success) return unusable(path, read.error)
  const context = wanted ?? read.data.context
  const found = read.data.contexts[context]
  return found ? { context, endpoints: found.endpoints ?? [] } : unusable(path, undefined)
}

// talosctl would write the file readable for all.
async function write(path: string, context: string, endpoints: readonly string[]): Promise<void> {
  const document = parseDocument(await readFile(path, 'utf8'))
  document.setIn(['contexts', context, 'endpoints'], document.createNode(endpoints))
  await writeFileAtomic(path, document.toString({ lineWidth: 0 }), { mode: 0o600 })
}

function unusable(path: string, cause: unknown): never {
  throw new OperatorError(`${path} is not a usable talosconfig.`, {
    next: 'Set TALOSCONFIG to the file that `talosctl gen config` has written for this cluster.',
    cause,
  })
}
