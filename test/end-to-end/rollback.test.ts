import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { canCopy } from '../../lib/rehearsal/copying-pods.ts'
import { localPathRoot } from '../../lib/rehearsal/practice-cluster.ts'
import type { PracticeMachine } from '../../lib/rehearsal/practice-machine.ts'
import { readTree } from '../../lib/rehearsal/volume-trees.ts'
import { assertAsBefore, newMachine, rollBack, swap } from './going-back.ts'
import { memoryFolder, type Practice, practise } from './on-practice-cluster.ts'

/** Types one task, which must end well, and gives what it said. */
type Type = (task: string, ...flags: string[]) => Promise<string>

test('from after every phase of scenario A a rollback leads to the cluster as it was', async (t) => {
  // Four evenings, one after the other.
  t.timeout(40 * 60_000)
  const practice = await practise(t, { fixture: 'small' })
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
  // It can neither be asked nor reset, and keeps the cluster on its disk.
  await replacement.cutPower()
  const unknown = await typing('rollback', [])
  t.regex(unknown.output, /What going back would lose cannot be told/)
  await rollBack(practice, () => type('rollback', '--accept-loss'), { emptied: true })
  await assertAsBefore(t, practice, 'provision, with the disk of the old machine wiped')
  assertEvacuatedAreBack(t, volumes, old)

  await type('drain')
  await type('shutdown')
  await swap(practice, replacement)
  const stale = await typing('provision', [])
  t.is(stale.exitCode, 1, 'the etcd of the evening before is not gone on with')
  t.regex(stale.output, /is not in maintenance mode.*Nothing was applied/s)
  await replacement.cutPower()
  replacement.wipeDisk()
  replacement.powerOn()
  await type('provision')
  await type('resume')
  await type('verify')
  await writeToNewMachine(practice, replacement)
  const refused = await typing('rollback', [])
  t.is(refused.exitCode, 1, refused.output)
  t.regex(refused.output, /created +configmaps default\/since/)
  t.regex(refused.output, /changed +secrets house\/registry-pull/)
  t.regex(refused.output, /deleted +secrets house\/doorbell/)
  if (canCopy()) {
    t.regex(refused.output, /written +local volume of observability\/storage-victoria-0: it holds 3 files/)
    t.notRegex(refused.output, /local volume of observability\/data-loki-0/, 'nobody has written to that one')
  }
  t.true(replacement.running, 'nothing was done to it')
  await rollBack(practice, () => type('rollback', '--accept-loss'))
  await assertAsBefore(t, practice, 'resume')
  t.deepEqual(readdirSync(memory), [], 'nothing that was decrypted is left')
})

/** What somebody does to the migrated cluster before it is given up. */
async function writeToNewMachine({ cluster }: Practice, replacement: PracticeMachine): Promise<void> {
  const api = await cluster.api()
  await api.create('/api/v1/namespaces/default/configmaps', { metadata: { name: 'since' }, data: { since: 'then' } })
  await api.mergePatch('/api/v1/namespaces/house/secrets/registry-pull', { data: { since: 'dGhlbg==' } })
  await api.remove('/api/v1/namespaces/house/secrets/doorbell')
  api.close()
  const root = localPathRoot(replacement)
  const folder = readdirSync(root).find((name) => name.includes('victoria'))
  if (folder) writeFileSync(join(root, folder, 'data/segment-000002'), 'since')
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
  if (canCopy()) t.is(there.length, 2, 'both volumes are back')
}
