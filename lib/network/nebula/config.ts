import { parse } from 'yaml'
import * as z from 'zod'

/** A Nebula config, as far as other hosts are told of in it. */
export type NebulaSettings = {
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

/** Source: https://nebula.defined.net/docs/config/ ; `punchy: true` was once all there was of it. */
const schema = z.object({
  pki: z.object({ ca: z.string(), cert: z.string(), key: z.string() }).partial().optional(),
  static_host_map: z.record(z.string(), z.array(z.string())).nullish(),
  lighthouse: z.object({ am_lighthouse: z.boolean().optional(), hosts: z.array(z.string()).nullish() }).optional(),
  listen: z.object({ host: z.string(), port: z.number() }).partial().optional(),
  punchy: z.union([z.boolean(), z.object({ punch: z.boolean().optional() })]).optional(),
})

/** Reads the text of a config file; undefined for any other text. */
export function parseNebulaConfig(text: string): NebulaSettings | undefined {
  if (!speaksOfNebula(text)) return undefined
  const parsed = schema.safeParse(asYaml(text))
  if (!parsed.success) return undefined
  const { pki = {}, static_host_map: map, lighthouse, listen = {}, punchy } = parsed.data
  return {
    amLighthouse: lighthouse?.am_lighthouse ?? false,
    lighthouses: lighthouse?.hosts ?? [],
    staticHostMap: Object.entries(map ?? {}).map(([mesh, underlay]) => ({ mesh, underlay })),
    listen: { host: listen.host ?? null, port: listen.port ?? null },
    punch: typeof punchy === 'object' ? punchy.punch === true : punchy === true,
    pki: { ca: pathOnly(pki.ca), cert: pathOnly(pki.cert), key: pathOnly(pki.key) },
  }
}

/** Whether it may be such a config: what need not be parsed to be ruled out. */
export function speaksOfNebula(text: string): boolean {
  return text.length < 100_000 && /\b(static_host_map|am_lighthouse)\b/.test(text)
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
