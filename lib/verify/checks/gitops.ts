import type { StateCheck } from './state-check.ts'

const fluxIsReady: StateCheck = {
  name: 'Flux has reconciled',
  run: ({ now }) =>
    now.flux
      .filter((object) => !object.suspended && (object.ready !== 'True' || !object.observed))
      .map((object) => ({
        subject: object.key,
        evidence: object.ready === 'True' ? 'its newest generation is not reconciled yet' : object.message,
        severity: 'error',
        wayOut: `flux reconcile ${object.key.split(' ')[0]?.toLowerCase()}; is the source reachable?`,
        converging: true,
      })),
}

const fluxIsSuspendedAsBefore: StateCheck = {
  name: 'Flux is suspended only where it was',
  compares: true,
  run: ({ now, before }) => {
    const suspended = new Map(before.flux.map((object) => [object.key, object.suspended]))
    return now.flux
      .filter((object) => suspended.has(object.key) && suspended.get(object.key) !== object.suspended)
      .map((object) => ({
        subject: object.key,
        evidence: object.suspended ? 'it is suspended, and was not' : 'it is not suspended, and was',
        severity: object.suspended ? 'error' : 'warning',
        wayOut: 'task migrate:resume',
      }))
  },
}

const applicationsAreSynced: StateCheck = {
  name: 'Argo CD has synced',
  run: ({ now }) =>
    now.applications
      .filter((application) => application.sync !== 'Synced' || !['Healthy', 'Suspended'].includes(application.health))
      .map((application) => ({
        subject: application.key,
        evidence: `${application.sync}, ${application.health}${application.message ? `: ${application.message}` : ''}`,
        severity: application.health === 'Degraded' || application.automated ? 'error' : 'warning',
        wayOut: `argocd app get ${application.key.split('/')[1]}`,
        converging: true,
      })),
}

const syncPolicyIsAsBefore: StateCheck = {
  name: 'Argo CD syncs by itself where it did',
  compares: true,
  run: ({ now, before }) => {
    const automated = new Map(before.applications.map((each) => [each.key, each.automated]))
    return now.applications
      .filter((each) => automated.has(each.key) && automated.get(each.key) !== each.automated)
      .map((each) => ({
        subject: each.key,
        evidence: each.automated ? 'it syncs by itself, and did not' : 'it does not sync by itself, and did',
        severity: each.automated ? 'warning' : 'error',
        wayOut: 'task migrate:resume',
      }))
  },
}

const externalSecretsAreSynced: StateCheck = {
  name: 'External Secrets are synced',
  run: ({ now }) =>
    now.externalSecrets
      .filter((each) => each.ready !== 'True')
      .map((each) => ({
        subject: each.key,
        evidence: each.message,
        severity: 'error',
        wayOut:
          'Is the store reachable (1Password Connect, its token)? The Secrets that were synced before are still there.',
        converging: true,
      })),
}

/** GitOps: the guide's `flux get all -A` and `argocd app list`. */
export const gitopsChecks: readonly StateCheck[] = [
  fluxIsReady,
  fluxIsSuspendedAsBefore,
  applicationsAreSynced,
  syncPolicyIsAsBefore,
  externalSecretsAreSynced,
]
