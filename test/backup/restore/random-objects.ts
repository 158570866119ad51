import type { KubernetesObject } from '../../../lib/kubernetes/api.ts'

/** An object, and the collection that it is created in. */
export interface Planned {
  collection: string
  object: KubernetesObject
  /** created before; its UID is not known yet */
  owner?: Planned
  /** put through /status after it was created */
  status?: unknown
}

/** Numbers from a seed, always the same (mulberry32). */
export function randomFrom(seed: number) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return { below, chance: (part: number) => next() < part, pick: <T>(of: readonly T[]) => of[below(of.length)] as T }
}

export type Random = ReturnType<typeof randomFrom>

const odd = [
  'plain',
  'ünïcödé',
  '日本語 テキスト',
  '😀🚀',
  'a\nb\tc',
  '"quoted" \\ {[',
  '\u2028\u2029',
  'null',
  '007',
  '1e3',
  '',
  'x'.repeat(300),
]

export function text(random: Random): string {
  return `${random.pick(odd)}${random.chance(0.5) ? random.pick(odd) : ''}${random.below(1000)}`
}

export function binary(random: Random, longest = 200): string {
  return Buffer.from(Array.from({ length: random.below(longest) }, () => random.below(256))).toString('base64')
}

/** What a custom resource may hold: any JSON but null, which no server keeps. */
export function deep(random: Random, depth: number): unknown {
  const kind = random.below(depth > 0 ? 7 : 4)
  if (kind === 0) return text(random)
  if (kind === 1) return random.below(2 ** 31)
  if (kind === 2) return random.chance(0.5)
  if (kind === 3) return random.below(1000) / 8
  if (kind === 4) return Array.from({ length: random.below(4) }, () => deep(random, depth - 1))
  return fields(random, depth)
}

export function fields(random: Random, depth: number): Record<string, unknown> {
  const count = 1 + random.below(4)
  return Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`${random.pick(odd.slice(0, 6))}-${i}`, deep(random, depth - 1)]),
  )
}

export function labels(random: Random): Record<string, string> {
  return {
    app: random.pick(['plex', 'grafana', 'n8n']),
    tier: random.pick(['web', 'cache', 'db']),
    zone: `z${random.below(3)}`,
  }
}

export function metadata(random: Random, name: string, namespace?: string): KubernetesObject['metadata'] {
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    labels: labels(random),
    ...(random.chance(0.5)
      ? {
          annotations: {
            note: text(random),
            'kubectl.kubernetes.io/last-applied-configuration': `{"a":${JSON.stringify(text(random))}}\n`,
          },
        }
      : {}),
    ...(random.chance(0.2) ? { finalizers: ['example.org/keep'] } : {}),
  }
}

export function podSpec(random: Random): Record<string, unknown> {
  return {
    containers: [
      {
        name: 'main',
        image: `registry.example/app:${random.below(9)}`,
        // The API takes a name twice, and server-side apply does not.
        env: [
          { name: 'A', value: text(random) },
          { name: 'B', value: '1' },
          ...(random.chance(0.3) ? [{ name: 'B', value: '2' }] : []),
        ],
        ports: [
          { containerPort: 80, protocol: 'TCP' },
          { containerPort: 80, protocol: 'UDP' },
        ],
        ...(random.chance(0.5)
          ? { resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { memory: '1Gi' } } }
          : {}),
      },
    ],
    ...(random.chance(0.3) ? { nodeSelector: { disk: 'ssd' } } : {}),
    ...(random.chance(0.3) ? { tolerations: [{ key: 'a', operator: 'Exists', effect: 'NoSchedule' }] } : {}),
    volumes: [{ name: 'tmp', emptyDir: {} }],
  }
}

export const core = '/api/v1'
export const inCore = (namespace: string, resource: string) => `${core}/namespaces/${namespace}/${resource}`
export const inGroup = (group: string, namespace: string, resource: string) =>
  `/apis/${group}/namespaces/${namespace}/${resource}`
