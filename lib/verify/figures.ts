import type { Baseline } from './baseline.ts'

/** A cluster in numbers, as `[what, how many]`, always in the same order. */
export function figuresOf(state: Baseline): [string, string][] {
  const { nodes, workloads, pods, cronJobs, volumes, claims, flux, applications } = state
  const { externalSecrets, peerings, mesh, ingress } = state
  return [
    ['Nodes ready', share(nodes, ({ ready }) => ready)],
    ['Nodes schedulable', share(nodes, ({ schedulable }) => schedulable)],
    ['Kubernetes of the nodes', [...new Set(nodes.map(({ kubelet }) => kubelet))].toSorted().join(', ')],
    ['Workloads ready', share(workloads, ({ wanted, ready }) => ready >= wanted)],
    ['Pods ready', `${sum(pods.map(({ ready }) => ready))} of ${sum(pods.map(({ total }) => total))}`],
    ['CronJobs suspended', share(cronJobs, ({ suspended }) => suspended)],
    ['Volumes bound', share(volumes, ({ phase }) => phase === 'Bound')],
    ['Claims bound', share(claims, ({ phase }) => phase === 'Bound')],
    ['Flux objects ready', share(flux, ({ ready }) => ready === 'True')],
    ['Flux objects suspended', share(flux, ({ suspended }) => suspended)],
    ['Argo CD Applications synced', share(applications, ({ sync }) => sync === 'Synced')],
    ['Argo CD Applications healthy', share(applications, ({ health }) => health === 'Healthy')],
    ['External Secrets ready', share(externalSecrets, ({ ready }) => ready === 'True')],
    ['Liqo peerings established', share(peerings, ({ trouble }) => trouble === '')],
    ['Mesh peers that answer', share(mesh, ({ answers }) => answers)],
    ['Ingress hosts that answer', share(ingress, ({ status }) => status !== null)],
  ]
}

function share<T>(all: readonly T[], holds: (one: T) => boolean): string {
  return all.length === 0 ? 'none' : `${all.filter(holds).length} of ${all.length}`
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

/** Each number before and after, as far as either is known; empty texts where it is not. */
export function beforeAndAfter(
  before: Baseline | null,
  after: Baseline | null,
): { what: string; before: string; after: string }[] {
  const then = new Map(before ? figuresOf(before) : [])
  const now = new Map(after ? figuresOf(after) : [])
  const names = [...new Set([...then.keys(), ...now.keys()])]
  return names.map((what) => ({ what, before: then.get(what) ?? '', after: now.get(what) ?? '' }))
}
