import test from 'ava'
import { editedByHand } from '../../lib/gitops/hand-edits.ts'

const edited = (...managedFields: object[]) => editedByHand({ metadata: { name: 'plex', managedFields } })
const replicas = { 'f:spec': { 'f:replicas': {} } }

test('a field that only a person has set is one that Git does not have', (t) => {
  const git = { manager: 'kustomize-controller', operation: 'Apply', fieldsV1: { 'f:spec': { 'f:paused': {} } } }
  t.deepEqual(edited(git, { manager: 'kubectl-scale', operation: 'Update', fieldsV1: replicas }), ['spec.replicas'])
  t.deepEqual(edited(git, { manager: 'k9s', operation: 'Update', fieldsV1: { 'f:data': { 'f:a.conf': {} } } }), [
    'data.a.conf',
  ])
})

test('a field that Git has as well is none, whoever wrote it first', (t) => {
  const git = { manager: 'argocd-controller', fieldsV1: replicas }
  t.deepEqual(edited(git, { manager: 'kubectl-client-side-apply', fieldsV1: replicas }), [])
})

test('what a controller writes beside Git is not by hand, and neither are statuses, labels and annotations', (t) => {
  const metadata = { 'f:metadata': { 'f:annotations': { 'f:note': {} } } }
  t.deepEqual(edited({ manager: 'kube-controller-manager', subresource: 'scale', fieldsV1: replicas }), [])
  t.deepEqual(edited({ manager: 'kubectl-edit', subresource: 'status', fieldsV1: { 'f:status': { 'f:x': {} } } }), [])
  t.deepEqual(edited({ manager: 'kubectl-annotate', fieldsV1: metadata }), [])
})

test('an element of a list is named by its key', (t) => {
  const env = { 'f:spec': { 'f:containers': { 'k:{"name":"plex"}': { '.': {}, 'f:image': {} } } } }
  t.deepEqual(edited({ manager: 'kubectl-set', fieldsV1: env }), ['spec.containers[{"name":"plex"}].image'])
})
