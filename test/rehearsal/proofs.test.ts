import test from 'ava'
import type { KubernetesObject } from '../../lib/kubernetes/api.ts'
import type { PracticeMachine } from '../../lib/rehearsal/practice-machine.ts'
import { compareTruths, etcdProof, excusedLines, offProof, table } from '../../lib/rehearsal/proofs.ts'
import { keyOf, type Truth, truthOf } from '../../lib/rehearsal/truth.ts'

type Listed = [group: string, resource: string, object: KubernetesObject]

function truth(...objects: Listed[]): Truth {
  return new Map(
    objects.map(([group, resource, object]) => {
      const one = truthOf(group, resource, object)
      return [keyOf(one), one]
    }),
  )
}

function deployment(over: { uid?: string; replicas?: number; ready?: number; image?: string } = {}): Listed {
  const { uid = 'u-1', replicas = 2, ready = 2, image = 'plex:1' } = over
  const metadata = { name: 'plex', namespace: 'media', uid }
  return ['apps', 'deployments', { metadata, spec: { replicas, image }, status: { readyReplicas: ready } }]
}

function secret(value: string): Listed {
  return ['', 'secrets', { metadata: { name: 'token', namespace: 'media', uid: 'u-2' }, data: { value } }]
}

function node(unschedulable?: boolean): Listed {
  const spec = { podCIDR: '10.244.0.0/24', ...(unschedulable === undefined ? {} : { unschedulable }) }
  return ['', 'nodes', { metadata: { name: 'talos00', uid: 'u-3' }, spec }]
}

function pod(uid: string): Listed {
  return ['', 'pods', { metadata: { name: 'plex-abc', namespace: 'media', uid }, spec: {} }]
}

const whole = truth(deployment(), secret('aGk='), node(), pod('u-4'))

function broken(after: Truth) {
  return compareTruths(whole, after).filter((proof) => !proof.holds)
}

test('all proofs hold for a cluster that is as it was', (t) => {
  t.deepEqual(broken(truth(deployment(), secret('aGk='), node(), pod('u-4'))), [])
})

test('an object that is missing is named, and its proof fails', (t) => {
  const claims = broken(truth(secret('aGk='), node(), pod('u-4')))
  t.true(claims[0]?.against.includes('deployments.apps media/plex is gone'))
  t.is(claims[0]?.claim, 'every object is there with the same UID')
})

test('an object of the same name with another UID is not the same object', (t) => {
  const [identity] = broken(truth(deployment({ uid: 'u-9' }), secret('aGk='), node()))
  t.regex(identity?.against.join() ?? '', /deployments\.apps media\/plex is another object of that name/)
})

test('a Secret with another value fails its proof, and neither value is told', (t) => {
  const claims = broken(truth(deployment(), secret('c2VjcmV0'), node()))
  t.deepEqual(
    claims.map(({ claim }) => claim),
    ['every Secret decrypts to the same value'],
  )
  t.deepEqual(claims[0]?.against, ['secrets media/token decrypts to another value'])
  t.false(JSON.stringify(claims).includes('c2VjcmV0'))
})

test('a missing Secret fails the proof of Secrets too', (t) => {
  const claims = broken(truth(deployment(), node()))
  t.true(claims.some(({ claim, against }) => claim.startsWith('every Secret') && against.length === 1))
})

test('replicas, readiness and cordon that are not as before are each told with both values', (t) => {
  const claims = broken(truth(deployment({ replicas: 0, ready: 0 }), secret('aGk='), node(true)))
  const switches = claims.find(({ claim }) => claim.startsWith('replicas'))
  t.deepEqual(switches?.against, [
    'deployments.apps media/plex: replicas 0, was 2',
    'deployments.apps media/plex: ready 0, was 2',
    'nodes talos00: cordoned true, was false',
  ])
})

test('a suspended Kustomization and a removed sync policy are told', (t) => {
  const flux = (suspend?: boolean): Listed => [
    'kustomize.toolkit.fluxcd.io',
    'kustomizations',
    {
      metadata: { name: 'apps', namespace: 'flux-system', uid: 'u-5' },
      spec: suspend === undefined ? {} : { suspend },
    },
  ]
  const argo = (automated?: object): Listed => [
    'argoproj.io',
    'applications',
    {
      metadata: { name: 'arr', namespace: 'argocd', uid: 'u-6' },
      spec: { syncPolicy: automated ? { automated } : {} },
    },
  ]
  const after = truth(flux(true), argo())
  const switches = compareTruths(truth(flux(), argo({ selfHeal: true })), after).at(-1)
  t.deepEqual(switches?.against, [
    'kustomizations.kustomize.toolkit.fluxcd.io flux-system/apps: suspended true, was false',
    'applications.argoproj.io argocd/arr: syncPolicy {}, was {"automated":{"selfHeal":true}}',
  ])
})

test('a flag that is written out as false counts as one that is not set', (t) => {
  const claims = broken(truth(deployment(), secret('aGk='), node(false)))
  t.deepEqual(
    claims.map(({ claim }) => claim),
    ['every object says what it said'],
  )
})

test('a changed content fails, a changed status or order of fields does not', (t) => {
  const [changed] = broken(truth(deployment({ image: 'plex:2' }), secret('aGk='), node()))
  t.deepEqual(changed?.against, ['deployments.apps media/plex says something else than before'])
  const [group, resource, object] = deployment()
  const reordered: Listed = [group, resource, { ...object, spec: { image: 'plex:1', replicas: 2 } }]
  t.deepEqual(broken(truth(reordered, secret('aGk='), node())), [])
})

test('pods may be other ones, and the list of what may differ says why', (t) => {
  t.deepEqual(broken(truth(deployment(), secret('aGk='), node(), pod('u-10'))), [])
  t.is(excusedLines(whole)[0], 'pods (1, not compared): evicted by the drain and made anew by their controllers')
})

test('a machine that still runs, or that lost its power without a shutdown, is not proven off', (t) => {
  const machine = (running: boolean, ...events: string[]) =>
    ({ running, pid: 42, timeline: events.map((event, at) => ({ at, event })) }) as unknown as PracticeMachine
  t.true(offProof(machine(false, 'power-on', 'shutdown-requested', 'stopped')).holds)
  t.deepEqual(offProof(machine(true, 'power-on', 'shutdown-requested', 'stopped')).against, [
    'its process 42 is running',
  ])
  t.is(offProof(machine(false, 'power-on', 'node-ready')).against.length, 2)
})

const members = (learner = 'false') =>
  `NODE          ID                 HOSTNAME   PEER URLS                  CLIENT URLS                LEARNER
127.0.10.54   8e9e05c52164694d   talos00    https://127.0.10.54:2380   https://127.0.10.54:2379   ${learner}
`
const status = (leader = '8e9e05c52164694d', errors = '') =>
  `NODE          MEMBER             DB SIZE   IN USE            LEADER             RAFT INDEX   RAFT TERM   RAFT APPLIED INDEX   LEARNER   ERRORS
127.0.10.54   8e9e05c52164694d   5.6 MB    5.5 MB (99.12%)   ${leader}   1042         2           1042                 false     ${errors}
`

function etcd(answers: { members?: string; status?: string; alarms?: string }) {
  const talosctlOnNode = async (...args: string[]) => {
    if (args[1] === 'members') return answers.members ?? members()
    return args[1] === 'status' ? (answers.status ?? status()) : (answers.alarms ?? '')
  }
  return etcdProof({ talosctlOnNode })
}

test('one voter that is its own leader and has no alarm is healthy', async (t) => {
  const proof = await etcd({})
  t.deepEqual(proof.against, [])
  t.regex(proof.evidence, /talos00 \(8e9e05c52164694d\)/)
})

test('a second member, a learner, a foreign leader and an alarm each speak against etcd', async (t) => {
  t.deepEqual((await etcd({ members: `${members()}${members().split('\n')[1]}\n` })).against, ['it has 2 members'])
  t.deepEqual((await etcd({ members: members('true') })).against, ['talos00 is a learner'])
  t.regex((await etcd({ status: status('1111111111111111') })).against.join(), /leader is 1111111111111111/)
  t.regex(
    (
      await etcd({ alarms: 'NODE          MEMBER             ALARM\n127.0.10.54   8e9e05c5   NOSPACE\n' })
    ).against.join(),
    /NOSPACE/,
  )
})

test('a table of talosctl is read by its columns, empty cells included', (t) => {
  t.deepEqual(table('NODE   DB SIZE   ERRORS\na      5.6 MB    \n'), [{ NODE: 'a', 'DB SIZE': '5.6 MB', ERRORS: '' }])
})
