import test from 'ava'
import { keysOfTheMove } from '../../lib/recovery/rollback/own-changes.ts'
import type { Undoable } from '../../lib/recovery/rollback/way-back.ts'

const change = (phase: string, undo: Undoable['undo']): Undoable => ({
  ...{ id: 1, phase, step: '', what: '', state: 'done' },
  undo,
})
const place = { kind: 'Secret', namespace: 'mesh', name: 'certs', key: 'host.crt' }
const workloads = [{ kind: 'DaemonSet', namespace: 'mesh', name: 'nebula' }]

test('what was changed for the new address is known by its keys in etcd', (t) => {
  const keys = keysOfTheMove([
    change('repeer', { kind: 'nebula-certificate', place, workloads }),
    change('rewrite-ip', { kind: 'in-cluster', path: '/api/v1/namespaces/default/configmaps/links' }),
    change('rewrite-ip', { kind: 'in-cluster', path: '/apis/metallb.io/v1beta1/namespaces/metallb/pools/house' }),
    change('rewrite-ip', { kind: 'in-cluster', path: '/apis/storage.k8s.io/v1/storageclasses/nfs' }),
  ])
  for (const key of ['secrets/mesh/certs', 'daemonsets/mesh/nebula', 'configmaps/default/links', 'storageclasses/nfs'])
    t.true(keys.has(key), key)
  t.true(keys.has('metallb.io/pools/metallb/house'))
})

test('what was restored into the new cluster is lost with it, and none of these', (t) => {
  const path = '/api/v1/namespaces/media/secrets/plex'
  t.is(keysOfTheMove([change('restore', { kind: 'restored', path })]).size, 0)
})
