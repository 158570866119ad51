import type { KubernetesObject } from '../../kubernetes/api.ts'
import { type LabelSelector, selects } from '../../kubernetes/kinds.ts'
import { OperatorError } from '../../migration/errors.ts'
import type { Flags } from '../../migration/migration.ts'
import type { ResourceEntry } from '../manifest.ts'
import type { Conflict } from '../restore.ts'
import { parseSelector } from './selector.ts'
import { resourceName, type Selection } from './source.ts'

export const restoreFlags = {
  backup: 'string',
  namespace: 'string',
  resource: 'string',
  name: 'string',
  selector: 'string',
  conflict: 'string',
  all: 'boolean',
} as const

/** What the operator asked for. */
export interface Wishes {
  backup: string | undefined
  conflict: Conflict
  namespaces: readonly string[]
  resources: readonly string[]
  names: readonly string[]
  selector: LabelSelector | undefined
  /** in the operator's words */
  described: string
}

/**
 * @throws OperatorError with exit code 2 when nothing is selected and not everything was asked for, or a value is wrong
 */
export function parseWishes(flags: Flags): Wishes {
  const given = (['namespace', 'resource', 'name', 'selector'] as const).filter((name) => flags[name] !== undefined)
  if (given.length === 0 && flags.all !== true) {
    throw new OperatorError('Nothing is selected.', {
      means: 'A whole backup is restored only when that is said.',
      next: 'Select: task migrate:restore -- --namespace media, or --resource, --name, --selector; or all of it: --all',
      exitCode: 2,
    })
  }
  if (given.length > 0 && flags.all === true) {
    throw new OperatorError(`--all and --${given[0]} contradict each other.`, {
      next: 'Give one of them.',
      exitCode: 2,
    })
  }
  const selector = flags.selector === undefined ? undefined : parseSelector(String(flags.selector))
  return {
    backup: flags.backup === undefined ? undefined : String(flags.backup),
    conflict: parseConflict(flags.conflict),
    namespaces: words(flags, 'namespace'),
    resources: words(flags, 'resource'),
    names: words(flags, 'name'),
    selector,
    described: given.length === 0 ? 'everything' : given.map((name) => `${name} ${flags[name]}`).join(', '),
  }
}

/**
 * @param kinds the resources of a backup with their kinds; needed for wishes that name resources
 * @throws OperatorError with exit code 2 for a resource that the backup does not have
 */
export function selectionOf(
  { namespaces, resources, names, selector }: Wishes,
  kinds: ReadonlyMap<ResourceEntry, string>,
): Selection {
  const entries = [...kinds.keys()]
  const known = resources.map((word) => ({ word, entries: entries.filter(isCalled(word, kinds)) }))
  const unknown = known.filter(({ entries }) => entries.length === 0).map(({ word }) => word)
  if (unknown.length > 0) throw notInBackup(unknown, entries)
  const wanted = new Set(known.flatMap(({ entries }) => entries.map(resourceName)))
  const byNamespace = ({ metadata }: KubernetesObject) =>
    namespaces.length === 0 || (metadata.namespace !== undefined && namespaces.includes(metadata.namespace))
  return {
    resource: (entry) => resources.length === 0 || wanted.has(resourceName(entry)),
    object: (object) =>
      byNamespace(object) &&
      (names.length === 0 || names.includes(object.metadata.name)) &&
      (selector === undefined || selects(selector, object.metadata.labels)),
  }
}

function isCalled(word: string, kinds: ReadonlyMap<ResourceEntry, string>): (entry: ResourceEntry) => boolean {
  const wanted = word.toLowerCase()
  return (entry) => [entry.resource, resourceName(entry), kinds.get(entry)?.toLowerCase()].includes(wanted)
}

function notInBackup(unknown: readonly string[], entries: readonly ResourceEntry[]): OperatorError {
  const near = entries.map(resourceName).filter((name) => unknown.some((word) => name.startsWith(word.slice(0, 4))))
  return new OperatorError(`The backup has no objects of ${unknown.join(', ')}, or they are never restored.`, {
    means:
      near.length > 0
        ? `It has: ${near.slice(0, 10).join(', ')}.`
        : 'A resource is named as kubectl api-resources does.',
    next: 'Name a plural (deployments), a plural with its group (deployments.apps), or a kind (Deployment).',
    exitCode: 2,
  })
}

function parseConflict(value: string | boolean | undefined): Conflict {
  if (value === undefined || value === 'skip') return 'skip'
  if (value === 'update' || value === 'fail') return value
  throw new OperatorError(`--conflict ${value} is none of skip, update and fail.`, {
    next: 'skip leaves what is there, update makes it what it was, fail changes nothing when anything differs.',
    exitCode: 2,
  })
}

function words(flags: Flags, name: string): string[] {
  const words = String(flags[name] ?? '')
    .split(',')
    .map((word) => word.trim())
  return words.filter((word) => word !== '')
}
