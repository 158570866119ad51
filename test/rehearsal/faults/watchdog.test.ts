import test from 'ava'
import { type LiveEtcd, strangersOfOneCluster } from '../../../lib/rehearsal/faults/watchdog.ts'

const etcd = (machine: string, more: Partial<LiveEtcd> = {}): LiveEtcd => ({
  machine,
  authority: 'one CA',
  clusterId: 'c1',
  memberId: machine,
  members: ['old', 'new', 'third'],
  ...more,
})

test('one live etcd, and the members of one cluster, are as they should be', (t) => {
  t.deepEqual(strangersOfOneCluster([etcd('old')]), [])
  t.deepEqual(strangersOfOneCluster([etcd('old'), etcd('new'), etcd('third')]), [])
})

test('etcds of different homelabs have nothing to do with one another', (t) => {
  t.deepEqual(strangersOfOneCluster([etcd('old'), etcd('new', { authority: 'another CA', clusterId: 'c2' })]), [])
})

test('two etcds under one CA that are not members of one another are told, with their machines', (t) => {
  const another = etcd('new', { clusterId: 'c2' })
  t.regex(strangersOfOneCluster([etcd('old'), another])[0] ?? '', /two live etcds .*old .*cluster c1.* and new .*c2/)
  const unknown = etcd('new', { members: ['new'] })
  t.is(strangersOfOneCluster([etcd('old'), unknown]).length, 1)
})

test('two that share even their ids, as after a recovery at one address, are two', (t) => {
  t.is(strangersOfOneCluster([etcd('old'), etcd('new', { memberId: 'old' })]).length, 1)
})
