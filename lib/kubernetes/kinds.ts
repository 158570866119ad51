import type { KubernetesObject } from './api.ts'

/** The fields of the built-in kinds that this program goes by, as the API writes them. */

export interface LabelSelector {
  matchLabels?: Record<string, string>
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
}

export interface Volume {
  name: string
  emptyDir?: { medium?: string }
  persistentVolumeClaim?: { claimName: string }
  ephemeral?: { volumeClaimTemplate?: { spec?: { storageClassName?: string } } }
}

export interface Requirement {
  key: string
  operator: string
  values?: string[]
}

export interface NodeSelectorTerm {
  matchExpressions?: Requirement[]
  matchFields?: Requirement[]
}

export interface NodeSelector {
  nodeSelectorTerms: NodeSelectorTerm[]
}

export interface PodAffinityTerm {
  labelSelector?: LabelSelector
  topologyKey: string
  namespaces?: string[]
  namespaceSelector?: LabelSelector
}

export interface Affinity {
  nodeAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: NodeSelector }
  podAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: PodAffinityTerm[] }
  podAntiAffinity?: { requiredDuringSchedulingIgnoredDuringExecution?: PodAffinityTerm[] }
}

export interface Toleration {
  key?: string
  operator?: string
  value?: string
  effect?: string
}

export interface Taint {
  key: string
  value?: string
  effect: string
}

export interface TopologySpreadConstraint {
  maxSkew: number
  topologyKey: string
  whenUnsatisfiable: string
  labelSelector?: LabelSelector
}

export interface Container {
  name: string
  image?: string
  command?: string[]
  env?: { name: string; value?: string }[]
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[]
  resources?: { requests?: Record<string, string> }
  restartPolicy?: string
}

export interface PodSpec {
  nodeName?: string
  nodeSelector?: Record<string, string>
  affinity?: Affinity
  tolerations?: Toleration[]
  topologySpreadConstraints?: TopologySpreadConstraint[]
  containers?: Container[]
  initContainers?: Container[]
  overhead?: Record<string, string>
  serviceAccountName?: string
  volumes?: Volume[]
  terminationGracePeriodSeconds?: number
}

export interface Pod extends KubernetesObject {
  spec: PodSpec
  status: {
    phase?: string
    podIP?: string
    conditions?: { type: string; status: string; reason?: string; message?: string }[]
    containerStatuses?: {
      name: string
      ready: boolean
      restartCount: number
      state?: Record<string, { reason?: string; message?: string; exitCode?: number }>
      lastState?: { terminated?: { finishedAt?: string; reason?: string; exitCode?: number } }
    }[]
  }
}

export interface Workload extends KubernetesObject {
  spec: {
    replicas?: number
    selector?: LabelSelector
    template?: { metadata?: { labels?: Record<string, string> }; spec: PodSpec }
    volumeClaimTemplates?: { metadata: { name: string }; spec?: { storageClassName?: string } }[]
  }
  status?: {
    replicas?: number
    readyReplicas?: number
    desiredNumberScheduled?: number
    numberReady?: number
    observedGeneration?: number
  }
}

export interface CronJob extends KubernetesObject {
  spec: { suspend?: boolean; schedule: string; jobTemplate?: { spec?: { template?: { spec?: PodSpec } } } }
  status?: { active?: { name: string }[] }
}

export interface Node extends KubernetesObject {
  spec: { unschedulable?: boolean; taints?: Taint[]; providerID?: string }
  status?: {
    conditions?: { type: string; status: string; reason?: string; message?: string }[]
    addresses?: { type: string; address: string }[]
    nodeInfo?: { kubeletVersion: string; osImage: string }
    capacity?: Record<string, string>
    allocatable?: Record<string, string>
    volumesInUse?: string[]
  }
}

export interface Job extends KubernetesObject {
  spec: { suspend?: boolean; template: { spec: PodSpec } }
  status?: {
    active?: number
    ready?: number
    succeeded?: number
    failed?: number
    conditions?: { type: string; status: string; reason?: string; message?: string }[]
  }
}

export interface PodDisruptionBudget extends KubernetesObject {
  spec: {
    selector?: LabelSelector
    minAvailable?: number | string
    maxUnavailable?: number | string
    unhealthyPodEvictionPolicy?: string
  }
  status?: {
    disruptionsAllowed?: number
    currentHealthy?: number
    desiredHealthy?: number
    expectedPods?: number
    observedGeneration?: number
    conditions?: { type: string; status: string; reason?: string; message?: string }[]
  }
}

export interface PersistentVolumeClaim extends KubernetesObject {
  spec: {
    storageClassName?: string
    volumeName?: string
    volumeMode?: string
    accessModes?: string[]
    resources?: { requests?: { storage?: string } }
  }
  status?: { phase?: string; capacity?: { storage?: string } }
}

export interface PersistentVolume extends KubernetesObject {
  spec: {
    storageClassName?: string
    capacity?: { storage?: string }
    claimRef?: { namespace: string; name: string }
    nfs?: { server: string; path: string }
    local?: { path: string }
    hostPath?: { path: string }
    csi?: { driver: string; volumeHandle: string; volumeAttributes?: Record<string, string> }
    volumeMode?: string
    accessModes?: string[]
    persistentVolumeReclaimPolicy?: string
    nodeAffinity?: { required?: NodeSelector }
  }
  status?: { phase?: string }
}

export interface VolumeAttachment extends KubernetesObject {
  spec: { attacher: string; nodeName: string; source: { persistentVolumeName?: string } }
  status?: {
    attached?: boolean
    attachError?: { message?: string }
    detachError?: { message?: string }
  }
}

/**
 * Whether a selector of the API selects these labels. An absent selector selects nothing, an empty one everything
 * (policy/v1).
 */
export function selects(selector: LabelSelector | undefined, labels: Record<string, string> = {}): boolean {
  if (!selector) return false
  const byLabels = Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value)
  return byLabels && (selector.matchExpressions ?? []).every((expression) => meets(expression, labels))
}

function meets(
  { key, operator, values = [] }: { key: string; operator: string; values?: string[] },
  labels: Record<string, string>,
): boolean {
  const value = labels[key]
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    default:
      return false
  }
}

/** `namespace/name`, as operators write it. */
export function fullName(object: KubernetesObject): string {
  const { namespace, name } = object.metadata
  return namespace === undefined ? name : `${namespace}/${name}`
}

/** The one owner that controls the object, if any. */
export function controllerOf(object: KubernetesObject) {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true)
}
