import type { Settings } from '../settings.ts'
import type { KubernetesApi, KubernetesObject } from './api.ts'
import { fullName, type PersistentVolume, type PersistentVolumeClaim, type PodSpec, type Workload } from './kinds.ts'

export type StorageSettings = Pick<Settings, 'localStorageClasses' | 'nfsStorageClasses'>

/** Where the data of a claim lies: on a node's own disk, on an NFS server, or in something else that is attached. */
export type Whereabouts = 'local' | 'NFS' | 'other'

/** One claim that a pod template mounts, and what is behind it. */
export interface Mount {
  /** by name, within the namespace */
  readonly claim: string
  readonly storageClass: string
  readonly whereabouts: Whereabouts
  /** the PersistentVolume; undefined while the claim has none */
  readonly volume: string | undefined
}

/** The claims of a cluster, their volumes and classes, read once. */
export class Storage {
  readonly #claims: ReadonlyMap<string, PersistentVolumeClaim>
  readonly #volumes: ReadonlyMap<string, PersistentVolume>
  readonly #defaultClass: string
  readonly #settings: StorageSettings

  private constructor(
    claims: readonly PersistentVolumeClaim[],
    volumes: readonly PersistentVolume[],
    defaultClass: string,
    settings: StorageSettings,
  ) {
    this.#claims = new Map(claims.map((claim) => [fullName(claim), claim]))
    this.#volumes = new Map(volumes.map((volume) => [volume.metadata.name, volume]))
    this.#defaultClass = defaultClass
    this.#settings = settings
  }

  static async read(api: KubernetesApi, settings: StorageSettings): Promise<Storage> {
    const [claims, volumes, classes] = await Promise.all([
      api.list<PersistentVolumeClaim>('/api/v1/persistentvolumeclaims'),
      api.list<PersistentVolume>('/api/v1/persistentvolumes'),
      api.list('/apis/storage.k8s.io/v1/storageclasses'),
    ])
    return new Storage(claims, volumes, classes.find(isDefault)?.metadata.name ?? '', settings)
  }

  /** What a pod template mounts by name, and what every pod made from it brings along (generic ephemeral volumes). */
  mountsOfTemplate(namespace: string, template: PodSpec | undefined): Mount[] {
    return (template?.volumes ?? []).flatMap((volume) => {
      const { persistentVolumeClaim: claim, ephemeral } = volume
      if (claim) return this.#mountOf(namespace, claim.claimName) ?? []
      if (!ephemeral) return []
      return this.#mountToBe(volume.name, ephemeral.volumeClaimTemplate?.spec?.storageClassName)
    })
  }

  /** What a workload mounts, the claims that a StatefulSet makes of its templates included: TEMPLATE-NAME-ORDINAL. */
  mountsOf(workload: Workload): Mount[] {
    const { namespace = '', name } = workload.metadata
    const { template, volumeClaimTemplates = [], replicas = 1 } = workload.spec
    const made = volumeClaimTemplates.flatMap((claim) =>
      Array.from({ length: replicas }, (_, ordinal) => {
        const each = `${claim.metadata.name}-${name}-${ordinal}`
        return this.#mountOf(namespace, each) ?? this.#mountToBe(each, claim.spec?.storageClassName)
      }),
    )
    return [...this.mountsOfTemplate(namespace, template?.spec), ...made]
  }

  #mountOf(namespace: string, name: string): Mount | undefined {
    const claim = this.#claims.get(`${namespace}/${name}`)
    if (!claim) return undefined
    const { storageClassName: storageClass = '', volumeName } = claim.spec
    return { claim: name, storageClass, whereabouts: this.#whereabouts(storageClass, volumeName), volume: volumeName }
  }

  /** A claim that is made together with its pod. */
  #mountToBe(claim: string, named: string | undefined): Mount {
    const storageClass = named ?? this.#defaultClass
    return { claim, storageClass, whereabouts: this.#whereabouts(storageClass, undefined), volume: undefined }
  }

  /** By the class; a volume that a person made has none, but says itself what it is. */
  #whereabouts(storageClass: string, volumeName: string | undefined): Whereabouts {
    const volume = this.#volumes.get(volumeName ?? '')
    if (this.#settings.localStorageClasses.includes(storageClass) || volume?.spec.local || volume?.spec.hostPath) {
      return 'local'
    }
    return this.#settings.nfsStorageClasses.includes(storageClass) || volume?.spec.nfs ? 'NFS' : 'other'
  }
}

/** `data (local-path, local)` */
export function describeMount({ claim, storageClass, whereabouts }: Mount): string {
  const where = whereabouts === 'other' ? [] : [whereabouts]
  return `${claim} (${[storageClass || 'no class', ...where].join(', ')})`
}

function isDefault(storageClass: KubernetesObject): boolean {
  return storageClass.metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true'
}
