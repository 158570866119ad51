import test from 'ava'
import { generations } from '../../lib/gitops/ordering.ts'

const keys = (objects: { key: string; parents: string[] }[]) =>
  generations(objects).map((group) => group.map(({ key }) => key))

test('parents come before their children, whatever the order they are given in', (t) => {
  const order = keys([
    { key: 'apps', parents: ['root'] },
    { key: 'leaf', parents: ['apps'] },
    { key: 'root', parents: [] },
  ])
  t.deepEqual(order, [['root'], ['apps'], ['leaf']])
})

test('an object that applies its own manifest is its own parent, and counts as having none', (t) => {
  const order = keys([
    { key: 'apps', parents: ['flux-system'] },
    { key: 'flux-system', parents: ['flux-system'] },
  ])
  t.deepEqual(order, [['flux-system'], ['apps']])
})

test('two that apply each other end, each exactly once', (t) => {
  const order = keys([
    { key: 'a', parents: ['b'] },
    { key: 'b', parents: ['a'] },
    { key: 'c', parents: ['a'] },
  ])
  t.deepEqual(order.flat().sort(), ['a', 'b', 'c'])
})

test('a parent that is not among them (suspended already, or of another kind) does not hold its child back', (t) => {
  t.deepEqual(keys([{ key: 'apps', parents: ['elsewhere'] }]), [['apps']])
})

test('a child of parents in two generations comes after both', (t) => {
  const order = keys([
    { key: 'child', parents: ['root', 'middle'] },
    { key: 'middle', parents: ['root'] },
    { key: 'root', parents: [] },
  ])
  t.deepEqual(order, [['root'], ['middle'], ['child']])
})
