import type { KubernetesObject } from '../../kubernetes/api.ts'
import type { Reader } from '../../kubernetes/reader.ts'
import { speaksOfNebula } from '../../network/nebula/config.ts'

export interface ConfigMap {
  readonly namespace: string
  readonly name: string
  readonly data: Record<string, string>
}

/** Those ConfigMaps that tell of something outside of the cluster; the others, however large, are not kept. */
export async function readConfigMaps(reader: Reader): Promise<ConfigMap[]> {
  return reader.pick('', 'configmaps', (object) => {
    const configMap = configMapOf(object)
    return tellsOfOutside(configMap) ? [configMap] : []
  })
}

function configMapOf({ metadata, data }: KubernetesObject): ConfigMap {
  return { namespace: metadata.namespace ?? '', name: metadata.name, data: (data ?? {}) as Record<string, string> }
}

function tellsOfOutside({ namespace, name, data }: ConfigMap): boolean {
  if (namespace === 'kube-system' && /^(coredns|kubevip)/.test(name)) return true
  return Object.entries(data).some(([key, text]) => /^AWS_/.test(key) || speaksOfNebula(text))
}
