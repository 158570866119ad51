import type { StateCheck } from './state-check.ts'

const claimsAreBound: StateCheck = {
  name: 'PersistentVolumeClaims are bound',
  run: ({ now }) =>
    now.claims
      .filter((claim) => claim.phase !== 'Bound')
      .map((claim) => ({
        subject: claim.key,
        evidence: `phase ${claim.phase}${claim.storageClass ? `, class ${claim.storageClass}` : ''}`,
        severity: 'error',
        wayOut:
          'kubectl describe pvc: does the class exist, does its provisioner run? (WaitForFirstConsumer waits for a pod.)',
        converging: true,
      })),
}

const volumesAreBound: StateCheck = {
  name: 'PersistentVolumes are bound',
  run: ({ now }) =>
    now.volumes
      .filter((volume) => volume.phase !== 'Bound' && volume.phase !== 'Available')
      .map((volume) => ({
        subject: volume.key,
        evidence: `phase ${volume.phase}${volume.claim ? `, of claim ${volume.claim}` : ''}`,
        severity: volume.phase === 'Failed' ? 'error' : 'warning',
        wayOut:
          'A Released volume keeps its data, but no claim gets it: clear spec.claimRef, or delete it if it is not wanted.',
      })),
}

const bindingsAreAsBefore: StateCheck = {
  name: 'Claims have the volumes that they had',
  compares: true,
  run: ({ now, before }) => {
    const volumeOf = new Map(before.volumes.map((volume) => [volume.claim, volume.key]))
    return now.volumes
      .filter(
        (volume) => volume.claim !== '' && volumeOf.has(volume.claim) && volumeOf.get(volume.claim) !== volume.key,
      )
      .filter(
        (volume) =>
          !now.volumes.some((other) => other.key === volumeOf.get(volume.claim) && other.claim === volume.claim),
      )
      .map((volume) => ({
        subject: `PersistentVolumeClaim ${volume.claim}`,
        evidence: `bound to ${volume.key}, before to ${volumeOf.get(volume.claim)}: a new, empty volume`,
        severity: 'error',
        wayOut: 'Bind it to the old volume before anything writes into the new one.',
      }))
  },
}

/** Storage: the guide's `kubectl get pv,pvc | grep -v Bound`. */
export const storageChecks: readonly StateCheck[] = [claimsAreBound, volumesAreBound, bindingsAreAsBefore]
