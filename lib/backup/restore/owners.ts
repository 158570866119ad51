import type { KubernetesObject, ObjectMetadata } from '../../kubernetes/api.ts'
import { objectKey } from './identity.ts'
import type { Places } from './places.ts'
import type { Read } from './write.ts'

export type OwnerReference = NonNullable<ObjectMetadata['ownerReferences']>[number]

/** An object's owners, as the cluster has them now. */
export interface Owners {
  /** with the UIDs of the owners that are there */
  present: OwnerReference[]
  /** not there, and none of those that are to be restored */
  gone: OwnerReference[]
  /** not there yet */
  coming: OwnerReference[]
}

/** Finds owners by kind and name: their UIDs in a backup are those of objects that may be gone. */
export class OwnerLookup {
  readonly #read: Read
  readonly #places: Places
  readonly #uids = new Map<string, string>()

  constructor(read: Read, places: Places) {
    this.#read = read
    this.#places = places
  }

  /** @param isComing by objectKey: whether that owner is to be restored */
  async ownersOf(object: KubernetesObject, isComing: (key: string) => boolean): Promise<Owners> {
    const owners: Owners = { present: [], gone: [], coming: [] }
    for (const reference of object.metadata.ownerReferences ?? []) {
      const uid = await this.#uidOf(reference, object.metadata.namespace)
      if (uid !== undefined) owners.present.push({ ...reference, uid })
      else if (ownerKeys(reference, object.metadata.namespace).some(isComing)) owners.coming.push(reference)
      else owners.gone.push(reference)
    }
    return owners
  }

  async #uidOf(reference: OwnerReference, namespace: string | undefined): Promise<string | undefined> {
    const [key = ''] = ownerKeys(reference, namespace)
    const known = this.#uids.get(key)
    if (known !== undefined) return known
    const place = await this.#places.ofKind(reference.apiVersion, reference.kind)
    // An owner in another namespace is none: https://kubernetes.io/docs/concepts/architecture/garbage-collection/#owners-dependents
    if (!place || (place.namespaced && namespace === undefined)) return undefined
    const metadata = { name: reference.name, ...(namespace === undefined ? {} : { namespace }) }
    const owner = await this.#read(place.path({ metadata }))
    if (!owner?.metadata.uid || owner.metadata.deletionTimestamp !== undefined) return undefined
    this.#uids.set(key, owner.metadata.uid)
    return owner.metadata.uid
  }
}

/** In the object's own namespace, or of the whole cluster: the reference does not say which. */
function ownerKeys({ apiVersion, kind, name }: OwnerReference, namespace: string | undefined): string[] {
  const inCluster = objectKey({ apiVersion, kind, metadata: { name } })
  if (namespace === undefined) return [inCluster]
  return [objectKey({ apiVersion, kind, metadata: { name, namespace } }), inCluster]
}
