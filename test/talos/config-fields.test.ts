import test from 'ava'
import { differences, pathText } from '../../lib/talos/config-fields.ts'

const differingPaths = (one: unknown, other: unknown) => differences(one, other).map(({ path }) => pathText(path))

test('equal documents differ nowhere, whatever the order of their fields', (t) => {
  t.deepEqual(
    differingPaths(
      { machine: { type: 'controlplane', token: 'a' } },
      { machine: { token: 'a', type: 'controlplane' } },
    ),
    [],
  )
})

test('a difference is named by its path, without its value', (t) => {
  const one = { machine: { network: { hostname: 'talos00' } }, cluster: { token: 'secret-1' } }
  const other = { machine: { network: { hostname: 'talos01' } }, cluster: { token: 'secret-2' } }
  const paths = differingPaths(one, other)
  t.deepEqual(paths, ['machine.network.hostname', 'cluster.token'])
  t.false(paths.join().includes('secret'))
})

test('an absent field and an empty one are the same', (t) => {
  t.deepEqual(differingPaths({ machine: { certSANs: [], sysctls: {}, nodeLabels: null } }, { machine: {} }), [])
})

test('a list is compared as a whole', (t) => {
  t.deepEqual(differingPaths({ a: [1, 2] }, { a: [2, 1] }), ['a'])
})
