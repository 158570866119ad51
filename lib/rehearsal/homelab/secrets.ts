import type { KubernetesObject } from '../../kubernetes/api.ts'

const fake = 'not-a-secret'

/**
 * A Secret with its stringData encoded as data, as server-side apply keeps no stringData; any other object as it is.
 * @param canary replaces `not-a-secret` in every value, so that no Secret is without it
 * @throws Error when a value of a fixture is not plainly fake
 */
export function withPlainValues(object: KubernetesObject, canary: string | undefined): KubernetesObject {
  if (object.kind !== 'Secret') return object
  const { stringData, ...rest } = object
  const data: Record<string, string> = {}
  for (const [key, value] of Object.entries((stringData ?? {}) as Record<string, string>)) {
    if (!value.includes(fake)) throw new Error(`Secret ${object.metadata.name}: ${key} must contain ${fake}`)
    data[key] = Buffer.from(value.replaceAll(fake, canary ?? fake)).toString('base64')
  }
  return { ...rest, data }
}
