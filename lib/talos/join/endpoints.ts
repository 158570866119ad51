import { readFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { parse } from 'yaml'
import * as z from 'zod'
import { OperatorError } from '../../migration/errors.ts'
import type { Migration } from '../../migration/migration.ts'
import { type Address, parseAddress } from '../../network/addresses.ts'
import type { Settings } from '../../settings.ts'
import { setLists, talosconfigUndoKind } from '../talosconfig-address.ts'
import type { Talosctl } from '../talosctl.ts'

const talosconfig = z.object({
  context: z.string(),
  contexts: z.record(z.string(), z.object({ endpoints: z.array(z.string()).nullish() }).loose()),
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
 * balancers among them stay, behind. Other contexts are left alone. undoTalosconfig takes it back.
 */
export async function setEndpoints(
  migration: Migration,
  talosctl: Talosctl,
  controlPlanes: readonly Address[],
  gone: readonly Address[] = [],
): Promise<void> {
  const path = migration.settings.talosconfig
  const { context, endpoints: before } = await current(path)
  const others = before.filter((endpoint) => ![...controlPlanes, ...gone].some((address) => address === endpoint))
  const after = [...controlPlanes, ...others]
  if (isDeepStrictEqual(before, after)) return
  const lists = [{ list: 'endpoints' as const, before, after }]
  await migration.change(`Set the endpoints of ${path} to ${after.join(', ')}`, {
    undo: { kind: talosconfigUndoKind, path, context, lists },
    apply: () => setLists(talosctl, migration.settings, path, context, lists, 'after'),
  })
}

async function current(path: string): Promise<{ context: string; endpoints: string[] }> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => unusable(path, cause))
  const read = talosconfig.safeParse(parse(text, { prettyErrors: false }))
  if (!read.success) return unusable(path, read.error)
  const { context } = read.data
  const found = read.data.contexts[context]
  return found ? { context, endpoints: found.endpoints ?? [] } : unusable(path, undefined)
}

function unusable(path: string, cause: unknown): never {
  throw new OperatorError(`${path} is not a usable talosconfig.`, {
    next: 'Set TALOSCONFIG to the file that `talosctl gen config` has written for this cluster.',
    cause,
  })
}
