import { at } from '../preflight/healthy-cluster.ts'
import { unready } from '../preflight/sicknesses/sickness.ts'
import { on } from './judged-cluster.ts'
import { gone, type Regression, spec, status } from './judged-homelab.ts'

/** Storage, and GitOps. */
export const ofStorageAndGitops: readonly Regression[] = [
  {
    what: 'a claim that has lost its volume',
    breaks: status(on.lost, { phase: 'Lost' }),
    found: [['PersistentVolumeClaims are bound', 'PersistentVolumeClaim default/lost']],
  },
  {
    what: 'a claim that is gone',
    breaks: gone(on.deleted),
    found: [['Nothing is missing', 'PersistentVolumeClaim default/deleted']],
  },
  {
    what: 'a volume that has failed',
    breaks: status(on.failed, { phase: 'Failed' }),
    found: [['PersistentVolumes are bound', 'PersistentVolume failed']],
  },
  {
    what: 'a claim that got a new, empty volume',
    breaks: async (home) => {
      const { spec: was } = await home.api.get(on.swapped)
      const mend = await gone(on.swapped)(home)
      const volume = { metadata: { name: 'swapped-anew' }, spec: was }
      await home.api.create('/api/v1/persistentvolumes', volume)
      await home.api.mergePatch('/api/v1/persistentvolumes/swapped-anew/status', { status: { phase: 'Bound' } })
      return async () => {
        await gone('/api/v1/persistentvolumes/swapped-anew')(home)
        await mend()
      }
    },
    found: [
      ['Claims have the volumes that they had', 'PersistentVolumeClaim default/swapped'],
      ['Nothing is missing', 'PersistentVolume swapped'],
    ],
  },
  {
    what: 'a Flux that cannot clone',
    breaks: status(at.source, unready('cannot clone')),
    found: [['Flux has reconciled', 'GitRepository flux-system/homelab']],
  },
  {
    what: 'a Kustomization that does not apply',
    breaks: status(at.kustomization, unready('no such file')),
    found: [['Flux has reconciled', 'Kustomization flux-system/apps']],
  },
  {
    what: 'a Kustomization that was left suspended',
    breaks: spec(on.parked, { suspend: true }, { suspend: null }),
    found: [['Flux is suspended only where it was', 'Kustomization flux-system/parked']],
  },
  {
    what: 'an Application that is degraded',
    breaks: status(at.application, { health: { status: 'Degraded' } }),
    found: [['Argo CD has synced', 'Application argocd/media']],
  },
  {
    what: 'an Application that syncs by itself no more',
    breaks: spec(on.manual, { syncPolicy: { automated: null } }, { syncPolicy: { automated: {} } }),
    found: [['Argo CD syncs by itself where it did', 'Application argocd/manual']],
  },
  {
    what: 'a Secret that is not synced',
    breaks: status(on.stale, unready('the item is gone')),
    found: [['External Secrets are synced', 'ExternalSecret default/stale']],
  },
  {
    what: 'a store that cannot be reached',
    breaks: status(at.store, unready('no answer')),
    found: [['External Secrets are synced', 'ClusterSecretStore onepassword']],
  },
]
