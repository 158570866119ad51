import test from 'ava'
import { clusterIdOf } from '../../lib/talos/etcd-cluster-id.ts'

/** The beginning of a log that etcd 3.6.4 has written; its log said "cluster-id":"f008596a977762a0". */
const segment = Buffer.from(
  '040000000000008408041000000000002000000000000000080110 8fc8ecfe011a1608b0e3c7c89e9dd5afe90110a0c5ddbba9ad9684f001'.replaceAll(
    ' ',
    '',
  ),
  'hex',
)

test("the cluster's id is read out of the beginning of etcd's log", (t) => {
  t.is(clusterIdOf(segment), 'f008596a977762a0')
})

test('a log that is cut off before it, or is none, is told', (t) => {
  t.throws(() => clusterIdOf(segment.subarray(0, 16)), { instanceOf: RangeError })
  t.throws(() => clusterIdOf(segment.subarray(0, 30)), { instanceOf: RangeError })
  t.throws(() => clusterIdOf(Buffer.alloc(64)), { instanceOf: RangeError })
})
