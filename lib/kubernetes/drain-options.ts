import { OperatorError } from '../migration/errors.ts'
import type { Flags } from '../migration/migration.ts'
import type { Settings } from '../settings.ts'
import type { KubernetesApi } from './api.ts'
import { findNodes } from './nodes.ts'

/**
 * The flags of migrate:drain: those of kubectl drain, by the same names.
 * Source: https://kubernetes.io/docs/reference/kubectl/generated/kubectl_drain/
 */
export const drainFlags = {
  force: 'boolean',
  'delete-emptydir-data': 'boolean',
  // What a DaemonSet runs is left in any case. The flag is known because everybody types it.
  'ignore-daemonsets': 'boolean',
  'disable-eviction': 'boolean',
  'grace-period': 'string',
  timeout: 'string',
  'skip-wait-for-delete-timeout': 'string',
  'pod-selector': 'string',
  selector: 'string',
  node: 'string',
} as const

/** How pods are told to go, and which of them. */
export interface DrainOptions {
  /** pods that no controller would bring back go too, and so do pods of a DaemonSet that is gone */
  readonly force: boolean
  /** emptyDir volumes are deleted with their pods; else such pods are refused */
  readonly deleteEmptyDirData: boolean
  /** pods are deleted without asking their budgets */
  readonly disableEviction: boolean
  /** undefined: each pod's own */
  readonly gracePeriodSeconds: number | undefined
  /** Infinity: for as long as it takes */
  readonly timeoutSeconds: number
  /** a pod whose end is overdue for longer is not waited for; undefined: every pod is */
  readonly skipWaitSeconds: number | undefined
  /** labels of the pods that go, as kubectl writes a selector; undefined: all */
  readonly podSelector: string | undefined
}

/**
 * What the operator's flags and settings ask for.
 * @throws OperatorError with exit code 2 for a flag that is no number or no time
 */
export function drainOptions(
  flags: Flags,
  settings: Pick<Settings, 'drainTimeout' | 'deleteEmptyDirData'>,
): DrainOptions {
  const gracePeriod = wholeNumber(flags, 'grace-period')
  const skipWait = wholeNumber(flags, 'skip-wait-for-delete-timeout')
  return {
    force: flags.force === true,
    deleteEmptyDirData: flags['delete-emptydir-data'] === true || settings.deleteEmptyDirData,
    disableEviction: flags['disable-eviction'] === true,
    gracePeriodSeconds: gracePeriod !== undefined && gracePeriod >= 0 ? gracePeriod : undefined,
    timeoutSeconds: flags.timeout === undefined ? settings.drainTimeout : duration(String(flags.timeout)),
    skipWaitSeconds: skipWait !== undefined && skipWait > 0 ? skipWait : undefined,
    podSelector: flags['pod-selector'] === undefined ? undefined : String(flags['pod-selector']),
  }
}

/**
 * The names of the Nodes that the operator wants drained: NODE_NAME, unless --node or --selector says otherwise.
 * @throws OperatorError when there is none, when one of them is virtual, or (exit code 2) when both flags are given
 */
export async function nodesToDrain(
  api: KubernetesApi,
  flags: Flags,
  { nodeName }: Pick<Settings, 'nodeName'>,
): Promise<string[]> {
  const { node, selector } = flags
  if (node !== undefined && selector !== undefined) {
    throw new OperatorError('--node and --selector cannot both choose the Nodes.', {
      next: 'Leave one of them out.',
      exitCode: 2,
    })
  }
  const names = node === undefined ? [nodeName] : String(node).split(',')
  const nodes = await findNodes(api, selector === undefined ? { names } : { labels: String(selector) })
  return nodes.map(({ metadata }) => metadata.name)
}

function wholeNumber(flags: Flags, name: string): number | undefined {
  const value = flags[name]
  if (value === undefined) return undefined
  if (/^-?\d+$/.test(String(value))) return Number(value)
  throw new OperatorError(`--${name} ${value} is not a whole number of seconds.`, {
    next: `Such as: task migrate:drain -- --${name} 30`,
    exitCode: 2,
  })
}

/** Seconds of `90`, `90s`, `5m` or `1h30m`; 0 is without end, as kubectl has it. */
function duration(text: string): number {
  if (/^\d+$/.test(text)) return Number(text) || Infinity
  const units = { h: 3600, m: 60, s: 1 }
  if (/^(\d+[hms])+$/.test(text)) {
    const parts = [...text.matchAll(/(\d+)([hms])/g)]
    return (
      parts.reduce((sum, [, count, unit]) => sum + Number(count) * units[unit as keyof typeof units], 0) || Infinity
    )
  }
  throw new OperatorError(`--timeout ${text} is not a time.`, {
    next: 'Such as: task migrate:drain -- --timeout 5m (0: for as long as it takes)',
    exitCode: 2,
  })
}
