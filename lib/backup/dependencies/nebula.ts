import { type SecretName, secretsOf, type Template } from '../../kubernetes/templates.ts'
import { type NebulaSettings, parseNebulaConfig } from '../../network/nebula/config.ts'
import { nebulaImageOf } from '../../network/nebula/workloads.ts'
import type { ConfigMap } from './config-maps.ts'

/** A Nebula config in a ConfigMap. */
export type NebulaConfig = NebulaSettings & { configMap: string; key: string }

export type Nebula = {
  configs: NebulaConfig[]
  /** what runs it, and the Secrets that it mounts: the certificates are in them */
  workloads: { workload: string; image: string; hostNetwork: boolean; secrets: SecretName[] }[]
}

export function findNebula(configMaps: readonly ConfigMap[], templates: readonly Template[]): Nebula {
  return {
    configs: configMaps.flatMap(({ namespace, name, data }) =>
      Object.entries(data).flatMap(([key, text]) => {
        const settings = parseNebulaConfig(text)
        return settings ? [{ configMap: `${namespace}/${name}`, key, ...settings }] : []
      }),
    ),
    workloads: templates.flatMap((template) => {
      const image = nebulaImageOf(template)
      if (image === undefined) return []
      const { owner, spec } = template
      return { workload: owner, image, hostNetwork: spec.hostNetwork === true, secrets: secretsOf(template) }
    }),
  }
}
