import type { KubernetesApi } from '../kubernetes/api.ts'
import type { Workload } from '../kubernetes/kinds.ts'
import type { Condition } from '../migration/migration.ts'
import { readFlux, servedFluxKinds } from './flux.ts'
import type { EngineWorkload } from './rebuild.ts'

/** Waits until the controllers of Flux and Argo CD run. */
export function controllersRun(
  api: KubernetesApi,
  controllers: readonly EngineWorkload[],
  timeoutSeconds: number,
): Condition<true> {
  return {
    name: `the controllers of GitOps run: ${controllers.map(({ name }) => name).join(', ')}`,
    timeoutSeconds,
    everyMs: 1000,
    hint: 'Are their images being pulled? kubectl get pods -A; kubectl describe pod',
    probe: async () => {
      const waiting: string[] = []
      for (const { resource, namespace, name } of controllers) {
        const [plural] = resource.split('.')
        const found = await api.getOrNull<Workload>(`/apis/apps/v1/namespaces/${namespace}/${plural}/${name}`)
        const wanted = found?.spec.replicas ?? 1
        const ready = found?.status?.readyReplicas ?? 0
        if (!found || ready < wanted) waiting.push(`${name} has ${ready} of ${wanted}`)
      }
      return waiting.length === 0 ? { met: true, value: true } : { met: false, saw: waiting.join(', ') }
    },
  }
}

/**
 * Waits until what has no parent in Git is applied again: everything else comes out of it. None of them has a status of before, for
 * a restore puts none back.
 * @param roots keys such as `Kustomization flux-system/flux-system`
 */
export function rootsAreApplied(
  api: KubernetesApi,
  roots: ReadonlySet<string>,
  timeoutSeconds: number,
): Condition<number> {
  return {
    name: `Flux has applied ${[...roots].join(', ')}`,
    timeoutSeconds,
    everyMs: 1000,
    hint: 'Does its source answer, and does its deploy key fit? flux get sources all -A; flux get kustomizations -A',
    probe: async () => {
      const objects = await readFlux(api, await servedFluxKinds(api))
      const waiting = objects.filter(({ key, ready, suspended, observed }) => {
        return roots.has(key) && !suspended && (ready !== 'True' || !observed)
      })
      const there = objects.filter(({ key }) => roots.has(key)).length
      if (there === roots.size && waiting.length === 0) return { met: true, value: objects.length }
      const [first] = waiting
      return { met: false, saw: first ? `${first.key}: ${first.message}` : `${there} of ${roots.size} are there` }
    },
  }
}
