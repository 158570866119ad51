import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { ObjectSource } from '../../lib/gitops/rebuild.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { decide, restoreListPath } from '../../lib/recovery/decision.ts'
import { applied, object } from '../gitops/objects.ts'

const self = applied('flux-system/flux-system')
const image = 'ghcr.io/fluxcd/kustomize-controller:v1'
const objects = [
  object('Kustomization', 'flux-system/flux-system', { metadata: self }),
  object('Deployment', 'flux-system/kustomize-controller', {
    spec: { template: { spec: { containers: [{ image }] } } },
    metadata: self,
  }),
  object('Secret', 'flux-system/deploy-key'),
  object('ConfigMap', 'default/notes'),
  object('ConfigMap', 'media/by-git', { metadata: self }),
  object('Job', 'media/import', { status: { conditions: [{ type: 'Complete', status: 'True' }] } }),
]
const source: ObjectSource = {
  origin: '/nas/backup',
  objects: async function* () {
    yield* objects
  },
}
const root = 'kustomizations.kustomize.toolkit.fluxcd.io flux-system/flux-system'
const controller = 'deployments.apps flux-system/kustomize-controller'

function outputDir(t: ExecutionContext, list?: string): { outputDir: string } {
  const folder = mkdtempSync(join(tmpdir(), 'decision-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }))
  if (list !== undefined) writeFileSync(restoreListPath({ outputDir: folder }), list)
  return { outputDir: folder }
}

test('without a list, everything that Git lacks is restored, and GitOps after it', async (t) => {
  const { before, engine, listed, losses } = await decide(outputDir(t), source)
  t.deepEqual([...before].sort(), ['configmaps default/notes', 'secrets flux-system/deploy-key'])
  t.deepEqual([...engine].sort(), [controller, root])
  t.is(listed, undefined)
  t.deepEqual(
    losses.map(({ called, what }) => [called, what]),
    [['jobs.batch media/import', 'object']],
  )
})

test('the list of the operator decides: what it leaves out is a loss, what it adds is restored', async (t) => {
  const list = `secrets flux-system/deploy-key\n${root}\nconfigmaps media/by-git\njobs.batch media/import\n`
  const { before, engine, losses } = await decide(outputDir(t, list), source)
  t.deepEqual([...before].sort(), [
    'configmaps media/by-git',
    'jobs.batch media/import',
    'secrets flux-system/deploy-key',
  ])
  t.deepEqual([...engine], [root])
  t.deepEqual(
    losses.map(({ called, why }) => [called, why]),
    [
      ['configmaps default/notes', 'neither in Git nor in the list'],
      [controller, 'neither in Git nor in the list'],
    ],
  )
})

test('a list that names what is not in the backup is refused with exit code 2', async (t) => {
  const error = await t.throwsAsync(decide(outputDir(t, 'secrets media/gone\n'), source), { instanceOf: OperatorError })
  t.is(error?.exitCode, 2)
  t.regex(error?.message ?? '', /restore-list\.txt names what \/nas\/backup does not have: secrets media\/gone/)
})

test('what a torn-down peering has left in the backup is not restored, whatever the list says, and is no loss', async (t) => {
  const tenant = object('Namespace', 'liqo-tenant-aws-gpu', {
    metadata: { labels: { 'liqo.io/remote-cluster-id': 'aws-gpu' } },
  })
  const nonce = object('Secret', 'liqo-tenant-aws-gpu/liqo-signed-nonce')
  const foreign = { ...object('ForeignCluster', 'aws-gpu', { spec: { clusterID: 'aws-gpu' } }) }
  const ofPeering = [tenant, nonce, { ...foreign, resource: 'foreignclusters.core.liqo.io' }]
  const others = [object('Secret', 'liqo-tenant-edge/liqo-signed-nonce'), object('Secret', 'liqo/liqo-pod-token')]
  const peered: ObjectSource = {
    origin: '/nas/backup',
    objects: async function* () {
      yield* [...objects, ...ofPeering, ...others]
    },
  }
  const restored = async (list?: string, tornDown?: string) => {
    const { before, losses } = await decide(outputDir(t, list), peered, tornDown)
    t.false(losses.some(({ called }) => called.includes('aws-gpu')))
    return [...before].filter((called) => /liqo|aws-gpu/.test(called)).sort()
  }
  const whole = ['secrets liqo-tenant-edge/liqo-signed-nonce', 'secrets liqo/liqo-pod-token']
  const peering = [
    'foreignclusters.core.liqo.io aws-gpu',
    'namespaces liqo-tenant-aws-gpu',
    'secrets liqo-tenant-aws-gpu/liqo-signed-nonce',
  ]
  t.deepEqual(await restored(), [...peering, ...whole].sort(), 'while it is peered')
  t.deepEqual(await restored(undefined, 'aws-gpu'), whole)
  t.deepEqual(await restored([...peering, ...whole].join('\n'), 'aws-gpu'), whole)
})
