import { mkdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import test from 'ava'
import { stillAway } from '../../lib/kubernetes/evacuation/ledger.ts'
import type { PersistentVolume } from '../../lib/kubernetes/kinds.ts'
import type { JournalRecord } from '../../lib/migration/journal.ts'
import { localPathRoot } from '../../lib/rehearsal/practice-cluster.ts'
import { readTree, volumesProof } from '../../lib/rehearsal/volume-trees.ts'
import { makeVolumes } from '../kubernetes/evacuation/small-homelab.ts'
import { writeWickedFiles } from '../kubernetes/evacuation/wicked-files.ts'
import { killWhen, memoryFolder, type Practice, practise } from './on-practice-cluster.ts'

const more = Array.from({ length: 6 }, (_, index) => `workshop/data-${index}`)

const facts = (records: JournalRecord[], name: string) =>
  new Set(records.flatMap((one) => (one.type === 'fact' && one.name.startsWith(name) ? [one.name] : [])))

/** Where the run is killed, in the order in which it comes there. */
const points: { name: string; reached: (records: JournalRecord[]) => boolean }[] = [
  { name: 'while volumes are copied', reached: (records) => facts(records, 'evacuated ').size >= 7 },
  { name: 'while they are brought back', reached: (records) => facts(records, 'brought back ').size >= 7 },
]

test('20 volumes move to a machine with an empty disk, file for file, though the run is killed while it copies, both ways', async (t) => {
  const practice = await practise(t)
  await addVolumes(practice)
  const root = localPathRoot(practice.cluster.old)
  const before = readTree(root)
  const early = await practice.task(['migrate:evacuate'])
  t.is(early.exitCode, 1)
  t.regex(early.output, /monitoring\/grafana-data: in use by Deployment monitoring\/grafana \(Pod grafana-/)

  const command = ['migrate:run', 'SCENARIO=A', `MEMORY_DIR=${memoryFolder(t)}`]
  for (const { name, reached } of points) {
    const running = practice.task(command)
    const pid = await Promise.race([killWhen(practice, reached), running.then(({ output }) => output)])
    if (typeof pid === 'string') return t.fail(`the run ended before it was killed ${name}:\n${pid}`)
    await running
    t.log(`killed ${name}`)
  }
  const last = await practice.task(command)
  t.is(last.exitCode, 0, last.output)
  await practice.prove()

  const records = practice.records()
  t.is(facts(records, 'evacuated ').size, 20)
  t.is(facts(records, 'brought back ').size, 20)
  t.deepEqual(readTree(root), before, 'the old disk is as it was')
  const replacement = practice.cluster.machines.at(-1)
  const away = stillAway(practice.journal())
  const { proof, leftBehind } = volumesProof(root, replacement ? localPathRoot(replacement) : '', away)
  t.deepEqual(proof.against, [], proof.claim)
  t.regex(proof.evidence, /^20 volumes/)
  t.deepEqual(leftBehind.length, 1, 'hybrid-llm/models-ollama-0 was accepted as lost')
  t.regex(leftBehind[0] ?? '', /_hybrid-llm_/)

  const remove = await practice.task(['migrate:evacuate', '--', '--remove'])
  t.is(remove.exitCode, 0, remove.output)
  const api = await practice.cluster.api()
  const left = await api.list('/api/v1/persistentvolumeclaims', { labelSelector: 'talos-migrate/evacuation=copy' })
  api.close()
  t.deepEqual(
    left.filter(({ metadata }) => !metadata.deletionTimestamp).map(({ metadata }) => metadata.name),
    [],
  )
})

async function addVolumes({ cluster }: Practice): Promise<void> {
  const api = await cluster.api()
  await makeVolumes(
    api,
    more.map((claim) => ({ claim })),
  )
  const volumes = await api.list<PersistentVolume>('/api/v1/persistentvolumes')
  api.close()
  for (const { spec } of volumes.filter((volume) => volume.spec.claimRef?.namespace === 'workshop')) {
    const folder = join(localPathRoot(cluster.old), basename(spec.hostPath?.path ?? ''))
    mkdirSync(folder)
    writeWickedFiles(folder)
  }
}
