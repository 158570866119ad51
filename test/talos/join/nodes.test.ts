import test from 'ava'
import { OperatorError } from '../../../lib/migration/errors.ts'
import { nodesToJoin } from '../../../lib/talos/join/nodes.ts'

const two = [
  { name: 'talos01', address: '192.0.2.55' },
  { name: 'talos02', address: '192.0.2.56' },
]
const nobody = { joinNodes: [], joinNode: undefined, joinIp: undefined }

test('without a name all of JOIN_NODES join, in that order', (t) => {
  t.deepEqual(
    nodesToJoin({ ...nobody, joinNodes: two }).map(({ name, address }) => `${name} ${address}`),
    ['talos01 192.0.2.55', 'talos02 192.0.2.56'],
  )
})

test('the one that is named joins alone, its address from IP or from JOIN_NODES', (t) => {
  t.deepEqual(
    nodesToJoin({ joinNodes: two, joinNode: 'talos03', joinIp: '192.0.2.57' }).map(({ name }) => name),
    ['talos03'],
  )
  t.deepEqual(
    nodesToJoin({ ...nobody, joinNodes: two, joinNode: 'talos02' }).map(({ address }) => String(address)),
    ['192.0.2.56'],
  )
})

test('nobody, half of one, and one twice are refused with exit code 2', (t) => {
  for (const settings of [
    nobody,
    { ...nobody, joinNode: 'talos01' },
    { ...nobody, joinIp: '192.0.2.55' },
    { ...nobody, joinNodes: [...two, { name: 'talos01', address: '192.0.2.57' }] },
    { ...nobody, joinNodes: [...two, { name: 'talos03', address: '192.0.2.56' }] },
  ]) {
    const error = t.throws(() => nodesToJoin(settings), { instanceOf: OperatorError })
    t.is(error?.exitCode, 2)
  }
})
