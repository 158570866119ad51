import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { stillAway } from '../../lib/kubernetes/evacuation/ledger.ts'
import type { JournalRecord } from '../../lib/migration/journal.ts'
import { localPathRoot } from '../../lib/rehearsal/practice-cluster.ts'
import { etcdProof, offProof } from '../../lib/rehearsal/proofs.ts'
import { compareRebuilt, convergedProof, readAnnounced } from '../../lib/rehearsal/rebuilt.ts'
import { readTruth } from '../../lib/rehearsal/truth.ts'
import { volumesProof } from '../../lib/rehearsal/volume-trees.ts'
import { killWhen, type Practice, practise } from './on-practice-cluster.ts'

const notes = 'configmaps default/where-is-what'

test('a rebuild from Git, phase by phase and killed in its middle, loses just what the plan announced', async (t) => {
  const practice = await practise(t)
  const phase = (name: string, ...flags: string[]) => practice.task([`migrate:${name}`, 'RECOVERY=gitops', ...flags])
  const list = join(practice.cluster.homelab.outputDir, 'restore-list.txt')
  const done = async (name: string, ...flags: string[]) => {
    const { exitCode, output } = await phase(name, ...flags)
    t.is(exitCode, 0, `migrate:${name}\n${output}`)
    return output
  }

  await done('plan', '--', '--dry-run')
  t.false(existsSync(list), 'a dry run writes nothing')
  t.regex(await done('plan'), /The list was written to .*restore-list\.txt/)
  t.regex(
    readFileSync(list, 'utf8'),
    /^secrets flux-system\/sops-age {2}# Kustomization flux-system\/secrets decrypts/m,
  )
  await refusesWrongLists(t, practice, list)
  edit(list, (text) => text.replace(`\n${notes}`, `\n# ${notes}`))
  t.regex(await done('plan'), /where-is-what +object +neither in Git nor in the list/)

  for (const name of ['preflight', 'backup', 'drain']) await done(name)
  t.regex(await done('provision', '--', '--dry-run'), /What Git does not hold: \d+ objects/)
  await done('shutdown')
  await killedInTheRestore(t, practice)
  await done('provision')
  t.regex(await done('resume'), /what the drain had quieted was never quiet here/)
  t.regex(await done('verify'), /Lost, as was announced \(2\)/)
  await prove(t, practice, list)
})

async function refusesWrongLists(t: ExecutionContext, practice: Practice, list: string): Promise<void> {
  const good = readFileSync(list, 'utf8')
  for (const [line, says] of [
    ['Secret media/token', /restore-list\.txt cannot be read: line \d+ \(Secret media\/token\)/],
    ['secrets media/nobody-knows', /names what .* does not have: secrets media\/nobody-knows/],
  ] as const) {
    edit(list, () => `${good}${line}\n`)
    const { exitCode, output } = await practice.task(['migrate:plan', 'RECOVERY=gitops'])
    t.is(exitCode, 2, output)
    t.regex(output, says)
  }
  edit(list, () => good)
}

async function killedInTheRestore(t: ExecutionContext, practice: Practice): Promise<void> {
  const created = (records: JournalRecord[]) =>
    records.filter((one) => one.type === 'change' && /^Create /.test(one.what))
  const running = practice.task(['migrate:provision', 'RECOVERY=gitops'])
  const pid = await Promise.race([
    killWhen(practice, (records) => created(records).length >= 80),
    running.then(({ output }) => output),
  ])
  t.is(typeof pid, 'number', `the run ended before it was killed:\n${pid}`)
  t.not((await running).exitCode, 0)
}

async function prove(t: ExecutionContext, practice: Practice, list: string): Promise<void> {
  const { cluster, before } = practice
  const announced = readAnnounced(list, join(cluster.homelab.outputDir, 'losses.txt'))
  t.is(announced.losses.get(notes), 'object')
  const api = await cluster.api()
  try {
    const proofs = [
      ...compareRebuilt(before, await readTruth(api), announced),
      await convergedProof(api),
      offProof(cluster.old),
      await etcdProof(cluster),
      evacuatedProof(t, practice),
    ]
    for (const { claim, against } of proofs) t.deepEqual(against, [], claim)
  } finally {
    api.close()
  }
}

/** What lay on the old disk lies on the new one: it was brought back before Git's workloads could start. */
function evacuatedProof(t: ExecutionContext, practice: Practice) {
  const { old, machines } = practice.cluster
  const replacement = machines.at(-1)
  const away = stillAway(practice.journal())
  const { proof } = volumesProof(localPathRoot(old), replacement ? localPathRoot(replacement) : '', away)
  t.regex(proof.evidence, /^14 volumes/)
  return proof
}

function edit(file: string, change: (text: string) => string): void {
  writeFileSync(file, change(readFileSync(file, 'utf8')))
}
