import test from 'ava'
import { quantity, requestsOf, tooLittle } from '../../../lib/kubernetes/homes/requests.ts'

test('quantities mean what the API means by them', (t) => {
  const texts = ['500m', '2', '0.1', '1Ki', '2Gi', '1M', '100k', '1e3', '5E', '250u', 'much']
  const meant = [0.5, 2, 0.1, 1024, 2 * 1024 ** 3, 1e6, 1e5, 1000, 5e18, 0.00025, 0]
  t.deepEqual(texts.map(quantity), meant)
})

test('a pod asks for its containers and sidecars together, or for its largest init container, and its overhead', (t) => {
  const asking = (cpu: string) => ({ name: 'c', resources: { requests: { cpu } } })
  const requests = requestsOf({
    containers: [asking('500m'), asking('250m')],
    initContainers: [asking('2'), { ...asking('250m'), restartPolicy: 'Always' }],
    overhead: { cpu: '100m', memory: '1Ki' },
  })
  t.deepEqual(Object.fromEntries(requests), { cpu: 2.1, memory: 1024, pods: 1 })
})

test('what there is too little of is said in the units that operators use', (t) => {
  const room = new Map([
    ['cpu', 0.5],
    ['memory', 1024 ** 3],
    ['pods', 10],
  ])
  t.is(tooLittle(room, new Map([['cpu', 2]])), 'cpu: 2 asked, 0.5 left')
  t.is(tooLittle(room, new Map([['memory', 4 * 1024 ** 3]])), 'memory: 4.0Gi asked, 1.0Gi left')
  t.is(tooLittle(room, new Map([['nvidia.com/gpu', 1]])), 'nvidia.com/gpu: 1 asked, 0 left')
  t.is(
    tooLittle(
      room,
      new Map([
        ['cpu', 0.5],
        ['pods', 1],
      ]),
    ),
    null,
  )
})
