import type { KubernetesApi, KubernetesObject } from '../../kubernetes/api.ts'
import { OperatorError } from '../../migration/errors.ts'
import { describePlace, encoded, type Place, pathOf, textIn } from './facts.ts'

/**
 * Looks whether the object of a place may be changed at all, before anything is signed or journaled.
 * Source: https://kubernetes.io/docs/concepts/configuration/secret/#secret-immutable
 * @throws OperatorError when it is immutable
 */
export async function assertMutable(api: KubernetesApi, place: Place): Promise<void> {
  const object = await api.getOrNull<KubernetesObject & { immutable?: boolean }>(pathOf(place))
  if (object?.immutable !== true) return
  const { kind, namespace, name } = place
  const read = `kubectl -n ${namespace} get ${kind.toLowerCase()} ${name} -o json`
  throw new OperatorError(`${kind} ${namespace}/${name} is immutable: nothing in it can be changed.`, {
    means: `${place.key} would have to be changed in it. Nothing was changed. It can only be made anew.`,
    next: `Where Git makes it, take immutable out there. Else: ${read} | jq 'del(.immutable)' | kubectl replace --force -f -   Then the same command again.`,
  })
}

/**
 * Replaces the value of one key, if it still is what was read.
 * @throws OperatorError when somebody has changed it
 */
export async function exchange(api: KubernetesApi, place: Place, from: string, to: string): Promise<void> {
  const there = textIn(await api.get(pathOf(place)), place)
  if (there?.trim() === to.trim()) return
  if (there?.trim() !== from.trim()) {
    throw new OperatorError(`${describePlace(place)} has been changed since it was read.`, {
      means: 'Somebody else is at work on it. It was left alone.',
      next: 'The same command again looks at it anew.',
    })
  }
  const path = `/data/${place.key.replaceAll('~', '~0').replaceAll('/', '~1')}`
  await api.jsonPatch(pathOf(place), [
    { op: 'test', path, value: encoded(place.kind, there) },
    { op: 'replace', path, value: encoded(place.kind, to) },
  ])
}
