import test from 'ava'
import {
  apiReady,
  controlPlaneReady,
  type KubernetesReader,
  kubeSystemUid,
  nodeReady,
} from '../../lib/talos/control-plane.ts'

/** An API server that answers from a table of paths. */
function reader(objects: Record<string, unknown>, readyz: () => Buffer = () => Buffer.from('ok')): KubernetesReader {
  return {
    server: 'https://192.0.2.1:6443',
    raw: async () => readyz(),
    getOrNull: async <T>(path: string) => (objects[path] ?? null) as T | null,
  }
}

const ready = { status: { conditions: [{ type: 'Ready', status: 'True' }] } }
const lease = (renewTime: string) => ({ spec: { renewTime } })
const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases'
const pods = '/api/v1/namespaces/kube-system/pods'
const controlPlane = () => ({
  [`${pods}/kube-apiserver-talos00`]: ready,
  [`${pods}/kube-controller-manager-talos00`]: ready,
  [`${pods}/kube-scheduler-talos00`]: ready,
  [`${leases}/kube-controller-manager`]: lease('1'),
  [`${leases}/kube-scheduler`]: lease('1'),
})

test('an API server that is not ready says which of its checks fail', async (t) => {
  t.like(await apiReady(reader({}), 1).probe(), { met: true })
  const failing = () => {
    throw Object.assign(new Error('500'), {
      body: '[+]ping ok\n[-]etcd failed: reason withheld\n[-]informer-sync failed\nreadyz check failed\n',
    })
  }
  t.deepEqual(await apiReady(reader({}, failing), 1).probe(), {
    met: false,
    saw: 'it answers, not ready yet: etcd, informer-sync',
  })
  const refused = () => {
    throw new Error('connect ECONNREFUSED')
  }
  await t.throwsAsync(apiReady(reader({}, refused), 1).probe(), { message: /ECONNREFUSED/ })
})

test('pods that the snapshot calls ready do not count until controller manager and scheduler renew their leases', async (t) => {
  const objects: Record<string, unknown> = controlPlane()
  const { probe } = controlPlaneReady(reader(objects), 'talos00', 1)
  t.like(await probe(), { met: false })
  objects[`${leases}/kube-scheduler`] = lease('2')
  t.deepEqual(await probe(), { met: false, saw: 'kube-controller-manager has not renewed its lease yet' })
  objects[`${leases}/kube-controller-manager`] = lease('2')
  t.like(await probe(), { met: true })
})

test('a control plane without leader election has no leases to wait for', async (t) => {
  const objects: Record<string, unknown> = controlPlane()
  delete objects[`${leases}/kube-scheduler`]
  delete objects[`${leases}/kube-controller-manager`]
  t.like(await controlPlaneReady(reader(objects), 'talos00', 1).probe(), { met: true })
  delete objects[`${pods}/kube-scheduler-talos00`]
  t.deepEqual(await controlPlaneReady(reader(objects), 'talos00', 1).probe(), {
    met: false,
    saw: 'kube-scheduler has no pod yet',
  })
})

test('a Node that the snapshot calls ready does not count until its kubelet has reported', async (t) => {
  const node = { status: { ...ready.status, nodeInfo: { bootID: 'old' } } }
  const objects: Record<string, unknown> = { '/api/v1/nodes/talos00': node }
  const { probe } = nodeReady(reader(objects), 'talos00', 'new', 1)
  t.like(await probe(), {
    met: false,
    saw: 'its status is still that of the snapshot; the kubelet has not reported yet',
  })
  node.status.nodeInfo.bootID = 'new'
  t.like(await probe(), { met: true })
  node.status.conditions = [{ type: 'Ready', status: 'Unknown' }]
  t.deepEqual(await probe(), { met: false, saw: 'Ready is Unknown (no reason)' })
})

test('the identity of a cluster is that of its namespace kube-system', async (t) => {
  t.is(await kubeSystemUid(reader({ '/api/v1/namespaces/kube-system': { metadata: { uid: 'u' } } })), 'u')
  t.is(await kubeSystemUid(reader({})), undefined)
})
