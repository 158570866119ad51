import { parse } from 'yaml'
import { z } from 'zod'
import type { ConfigMap } from './config-maps.ts'
import { imageOf, type SecretName, secretsOf, type Template } from './templates.ts'

/** A Nebula config in a ConfigMap. */
export type NebulaConfig = {
  configMap: string
  key: string
  amLighthouse: boolean
  /** mesh addresses */
  lighthouses: string[]
  /** where a mesh address is found: HOST:PORT in the underlay */
  staticHostMap: { mesh: string; underlay: string[] }[]
  listen: { host: string | null; port: number | null }
  punch: boolean
  /** paths in the container; `inline` where the config holds the thing itself, which is not repeated here */
  pki: { ca: string | null; cert: string | null; key: string | null }
}

export type Nebula = {
  configs: NebulaConfig[]
  /** what runs it, and the Secrets that it mounts: the certificates are in them */
  workloads: { workload: string; image: string; hostNetwork: boolean; secrets: SecretName[] }[]
}

/** Source: https://nebula.defined.net/docs/config/ ; `punchy: true` was once all there was of it. */
const schema = z.object({
  pki: z.object({ ca: z.string(), cert: z.string(), key: z.string() }).partial().optional(),
  static_host_map: z.record(z.string(), z.array(z.string())).nullish(),
  lighthouse: z.object({ am_lighthouse: z.boolean().optional(), hosts: z.array(z.string()).nullish() }).optional(),
  listen: z.object({ host: z.string(), port: z.number() }).partial().optional(),
  punchy: z.union([z.boolean(), z.object({ punch: z.boolean().optional() })]).optional(),
})

export function findNebula(configMaps: readonly ConfigMap[], templates: readonly Template[]): Nebula {
  return {
    configs: configMaps.flatMap((configMap) =>
      Object.entries(configMap.data).flatMap(([key, text]) => configOf(configMap, key, text) ?? []),
    ),
    workloads: templates.flatMap((template) => {
      const image = imageOf(template, /(^|\/)nebula(:|@|$)|nebulaoss\//)
      if (image === undefined) return []
      const { owner, spec } = template
      return { workload: owner, image, hostNetwork: spec.hostNetwork === true, secrets: secretsOf(template) }
    }),
  }
}

function configOf({ namespace, name }: ConfigMap, key: string, text: string): NebulaConfig | undefined {
  if (!/\b(static_host_map|am_lighthouse)\b/.test(text)) return undefined
  const parsed = schema.safeParse(asYaml(text))
  if (!parsed.success) return undefined
  const { pki = {}, static_host_map: map, lighthouse, listen = {}, punchy } = parsed.data
  return {
    configMap: `${namespace}/${name}`,
    key,
    amLighthouse: lighthouse?.am_lighthouse ?? false,
    lighthouses: lighthouse?.hosts ?? [],
    staticHostMap: Object.entries(map ?? {}).map(([mesh, underlay]) => ({ mesh, underlay })),
    listen: { host: listen.host ?? null, port: listen.port ?? null },
    punch: typeof punchy === 'object' ? punchy.punch === true : punchy === true,
    pki: { ca: pathOnly(pki.ca), cert: pathOnly(pki.cert), key: pathOnly(pki.key) },
  }
}

function pathOnly(value: string | undefined): string | null {
  if (value === undefined) return null
  return value.includes('\n') || value.includes('-----') ? 'inline' : value
}

function asYaml(text: string): unknown {
  try {
    return parse(text)
  } catch {
    return undefined
  }
}
