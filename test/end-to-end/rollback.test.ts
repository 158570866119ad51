import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import type { JournalRecord } from '../../lib/migration/journal.ts'
import { canCopy } from '../../lib/rehearsal/copying-pods.ts'
import { localPathRoot } from '../../lib/rehearsal/practice-cluster.ts'
import type { PracticeMachine } from '../../lib/rehearsal/practice-machine.ts'
import { compareTruths, etcdProof } from '../../lib/rehearsal/proofs.ts'
import { readTruth } from '../../lib/rehearsal/truth.ts'
import { readTree } from '../../lib/rehearsal/volume-trees.ts'
import { killWhen, memoryFolder, type Practice, practise } from './on-practice-cluster.ts'

/** Types one task, which must end well, and gives what it said. */
type Type = (task: string, ...flags: string[]) => Promise<string>

test('from after every phase of scenario A a rollback leads to the cluster as it was', async (t) => {
  // Four evenings, one after the other.
  t.timeout(40 * 60_000)
  const practice = await practise(t)
  const memory = memoryFolder(t)
  // What is not copied off the machine costs no time; only the wiped disk needs the copies.
  let more = ['ACCEPT_DATA_LOSS=*/*']
  const typing = (task: string, flags: string[]) =>
    practice.task([`migrate:${task}`, `MEMORY_DIR=${memory}`, ...more, '--', ...flags])
  const type: Type = async (task, ...flags) => {
    const { exitCode, output } = await typing(task, flags)
    if (exitCode !== 0) throw new Error(`migrate:${task} ${flags.join(' ')} ended with ${exitCode}\n${output}`)
    return output
  }
  const { old } = practice.cluster
  const volumes = treesOf(old)

  t.regex(await type('rollback'), /Nothing was changed/, 'before anything was done')
  await type('preflight')
  t.regex(await type('rollback'), /Nothing was changed/, 'after preflight')
  await type('backup')
  t.regex(await type('rollback'), /Nothing was changed/, 'after backup')

  await type('drain')
  t.regex(await type('rollback', '--dry-run'), /undo: Cordon Node talos00/)
  t.regex(await type('rollback'), /is as it was/, 'after drain')
  await assertAsBefore(t, practice, 'drain')
  t.regex(await type('rollback'), /Nothing was changed/, 'after a rollback')

  await type('drain')
  await type('shutdown')
  const replacement = await newMachine(practice)
  await rollBack(practice, () => type('rollback'))
  await assertAsBefore(t, practice, 'shutdown')

  more = []
  await type('drain')
  await type('shutdown')
  await swap(practice, replacement)
  await type('provision')
  t.regex(await type('rollback', '--dry-run'), /has taken no writes that the old one does not have/)
  await rollBack(practice, () => type('rollback'), { emptied: true })
  await assertAsBefore(t, practice, 'provision, with the disk of the old machine wiped')
  assertEvacuatedAreBack(t, volumes, old)
  t.false(replacement.running, 'the new machine is off')

  more = ['ACCEPT_DATA_LOSS=*/*']
  await type('drain')
  await type('shutdown')
  await swap(practice, replacement)
  await type('provision')
  await type('resume')
  await type('verify')
  await writeToNewMachine(practice)
  const refused = await typing('rollback', [])
  t.is(refused.exitCode, 1, refused.output)
  t.regex(refused.output, /created +configmaps default\/since/)
  t.regex(refused.output, /changed +secrets media\/registry-pull/)
  t.regex(refused.output, /deleted +secrets liqo-tenant-aws-gpu\/kubeconfig-controlplane-aws-gpu/)
  t.true(replacement.running, 'nothing was done to it')
  await rollBack(practice, async () => {
    const running = typing('rollback', ['--accept-loss'])
    await killWhen(practice, halfUndone)
    t.not((await running).exitCode, 0)
    return type('rollback', '--accept-loss')
  })
  await assertAsBefore(t, practice, 'resume, and killed in the middle')
  t.deepEqual(readdirSync(memory), [], 'nothing that was decrypted is left')
})

/** What somebody does to the migrated cluster before it is given up. */
async function writeToNewMachine({ cluster }: Practice): Promise<void> {
  const api = await cluster.api()
  await api.create('/api/v1/namespaces/default/configmaps', { metadata: { name: 'since' }, data: { since: 'then' } })
  await api.mergePatch('/api/v1/namespaces/media/secrets/registry-pull', { data: { since: 'dGhlbg==' } })
  await api.remove('/api/v1/namespaces/liqo-tenant-aws-gpu/secrets/kubeconfig-controlplane-aws-gpu')
  api.close()
}

function halfUndone(records: JournalRecord[]): boolean {
  const begun = records.findLastIndex(({ type }) => type === 'rollback')
  const undone = records.slice(begun).filter((record) => record.type === 'outcome' && record.state === 'undone')
  return records[begun]?.type === 'rollback' && records[begun].state === 'begun' && undone.length >= 20
}

const treesOf = (machine: PracticeMachine) => {
  const root = localPathRoot(machine)
  return new Map(readdirSync(root).map((name) => [name, readTree(join(root, name))]))
}

/** What was not evacuated is lost with the disk; what is there is what was there. */
function assertEvacuatedAreBack(
  t: ExecutionContext,
  before: ReturnType<typeof treesOf>,
  machine: PracticeMachine,
): void {
  const there = [...treesOf(machine)].filter(([, tree]) => tree.size > 1)
  for (const [name, tree] of there) t.deepEqual(tree, before.get(name), name)
  if (canCopy()) t.true(there.length > 5, `${there.length} volumes are back`)
}

/** The machine that was put in the place of the old one when that was first proven off. */
async function newMachine({ cluster }: Practice): Promise<PracticeMachine> {
  for (;;) {
    const machine = cluster.machines.find((one) => one !== cluster.old)
    if (machine?.running) return machine
    await delay(100)
  }
}

/** What an operator's hands do on the way there. */
async function swap({ cluster }: Practice, to: PracticeMachine): Promise<void> {
  await cluster.old.cutPower()
  to.powerOn()
}

/** A rollback, with hands that swap the machines back when they are asked to. */
async function rollBack(
  practice: Practice,
  rollback: () => Promise<string>,
  { emptied = false }: { emptied?: boolean } = {},
): Promise<string> {
  const { cluster } = practice
  const { old, machines } = cluster
  const asked = () => practice.said().split(askedToSwapBack).length
  const before = asked()
  const hands = setInterval(() => {
    if (asked() === before) return
    clearInterval(hands)
    for (const machine of machines) if (machine !== old) machine.pullPower()
    if (emptied) old.wipeDisk()
    old.powerOn()
  }, 100)
  return rollback().finally(() => clearInterval(hands))
}

const askedToSwapBack = 'Power the old machine on'

async function assertAsBefore(t: ExecutionContext, { cluster, before }: Practice, after: string): Promise<void> {
  const api = await cluster.api()
  const now = await readTruth(api)
  api.close()
  for (const { claim, against } of [...compareTruths(before, now), await etcdProof(cluster)]) {
    t.deepEqual(against, [], `rolled back after ${after}: ${claim}`)
  }
  t.true(cluster.old.running)
}
