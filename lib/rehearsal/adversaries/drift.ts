import type { KubernetesObject } from '../../kubernetes/api.ts'

/** What GitOps controllers do not compare: the status is the controllers' own, ownerReferences carry ids that Git cannot know. */
const notCompared = ['status', 'apiVersion', 'kind']
const metadataCompared = ['labels', 'annotations']

/**
 * The first difference between what Git says and what is there, for a person to read; undefined when there is none.
 * Fields that only the live object has are no difference: the API server and other managers fill them in.
 */
export function driftOf(wanted: KubernetesObject, live: KubernetesObject | undefined): string | undefined {
  if (!live || live.metadata.deletionTimestamp !== undefined) return 'it is gone'
  for (const field of metadataCompared) {
    const drift = differenceAt(`metadata.${field}`, wanted.metadata[field], live.metadata[field])
    if (drift !== undefined) return drift
  }
  for (const [field, value] of Object.entries(wanted)) {
    if (notCompared.includes(field) || field === 'metadata') continue
    const drift = differenceAt(field, value, live[field])
    if (drift !== undefined) return drift
  }
  return undefined
}

function differenceAt(path: string, wanted: unknown, live: unknown): string | undefined {
  if (Array.isArray(wanted)) return differenceOfLists(path, wanted, live)
  if (isRecord(wanted)) {
    const there = isRecord(live) ? live : {}
    for (const [key, value] of Object.entries(wanted)) {
      const difference = differenceAt(`${path}.${key}`, value, there[key])
      if (difference !== undefined) return difference
    }
    return undefined
  }
  // An absent switch is off.
  if (wanted === (live ?? false) || wanted === live) return undefined
  return `${path} is ${JSON.stringify(live)}, and ${JSON.stringify(wanted)} in Git`
}

function differenceOfLists(path: string, wanted: unknown[], live: unknown): string | undefined {
  const there = Array.isArray(live) ? live : []
  if (there.length !== wanted.length) return `${path} has ${there.length} entries, and ${wanted.length} in Git`
  for (const [index, value] of wanted.entries()) {
    const difference = differenceAt(`${path}[${index}]`, value, there[index])
    if (difference !== undefined) return difference
  }
  return undefined
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
