import type { KubernetesObject } from './api.ts'
import { controllerOf } from './kinds.ts'
import { type Reader, titleOf } from './reader.ts'

/** What is told of a Secret: its name, and the key in it where one is named. Never its value: no Secret is read for this. */
export type SecretName = { secret: string; key: string | null }

interface Variable {
  name: string
  value?: string
  valueFrom?: { secretKeyRef?: { name: string; key: string } }
}

interface Container {
  image?: string
  command?: string[]
  args?: string[]
  env?: Variable[]
  envFrom?: { secretRef?: { name: string } }[]
}

interface PodSpec {
  hostNetwork?: boolean
  containers?: Container[]
  initContainers?: Container[]
  volumes?: {
    nfs?: { server: string; path: string }
    csi?: { driver: string; volumeAttributes?: Record<string, string> }
    secret?: { secretName: string }
    configMap?: { name: string }
  }[]
}

/** The pod template of one workload, or a pod that nobody controls. */
export interface Template {
  /** `DaemonSet nebula-system/nebula` */
  readonly owner: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly spec: PodSpec
}

const workloads = [
  ['apps', 'deployments'],
  ['apps', 'statefulsets'],
  ['apps', 'daemonsets'],
  ['batch', 'cronjobs'],
  ['batch', 'jobs'],
  ['', 'pods'],
] as const

export async function readTemplates(reader: Reader): Promise<Template[]> {
  const lists = await Promise.all(workloads.map(([group, resource]) => reader.pick(group, resource, templateOf)))
  return lists.flat()
}

/** What is controlled by another object is told by that one. */
function templateOf(object: KubernetesObject): Template[] {
  if (controllerOf(object)) return []
  const spec = object.spec as {
    template?: { spec?: PodSpec }
    jobTemplate?: { spec?: { template?: { spec?: PodSpec } } }
  } & PodSpec
  const pod = spec.jobTemplate?.spec?.template?.spec ?? spec.template?.spec ?? spec
  const { namespace = '', name } = object.metadata
  return [{ owner: titleOf(object), kind: object.kind ?? '', namespace, name, spec: pod }]
}

export function containersOf({ spec }: Template): Container[] {
  return [...(spec.initContainers ?? []), ...(spec.containers ?? [])]
}

/** The first of the containers' images that fits; undefined if none does. */
export function imageOf(template: Template, pattern: RegExp): string | undefined {
  return containersOf(template).flatMap(({ image = '' }) => (pattern.test(image) ? [image] : []))[0]
}

/** All environment variables that are written in the template; those of an envFrom have no name there. */
export function variablesOf(template: Template): Variable[] {
  return containersOf(template).flatMap(({ env = [] }) => env)
}

/** Every Secret that the template takes values from: variables, whole Secrets as variables, volumes. */
export function secretsOf(template: Template): SecretName[] {
  const { namespace, spec } = template
  const named = (name: string, key: string | null): SecretName => ({ secret: `${namespace}/${name}`, key })
  const all = [
    ...variablesOf(template).flatMap(({ valueFrom }) =>
      valueFrom?.secretKeyRef ? [named(valueFrom.secretKeyRef.name, valueFrom.secretKeyRef.key)] : [],
    ),
    ...containersOf(template).flatMap(({ envFrom = [] }) =>
      envFrom.flatMap(({ secretRef }) => (secretRef ? [named(secretRef.name, null)] : [])),
    ),
    ...(spec.volumes ?? []).flatMap(({ secret }) => (secret ? [named(secret.secretName, null)] : [])),
  ]
  return [...new Map(all.map((each) => [JSON.stringify(each), each])).values()]
}
