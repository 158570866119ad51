import { join } from 'node:path'
import test from 'ava'
import { ensureBinaries } from '../../lib/rehearsal/binaries.ts'
import { type Outcome, playGroup } from '../../lib/rehearsal/faults/campaign.ts'
import { type Group, groupsOf } from '../../lib/rehearsal/faults/seed.ts'
import { describe, replay } from '../../lib/rehearsal/faults/show.ts'
import { projectFolder } from '../../lib/settings.ts'
import { brokenBuild, type Sabotage, undoAfterChange, withoutFencing } from '../rehearsal/faults/broken-build.ts'

const binaries = await ensureBinaries({ progress: { info: () => {}, warn: () => {}, detail: () => {} } })

function play(group: Group, programs: string, tell: (outcome: Outcome) => void = () => {}): Promise<Outcome[]> {
  return playGroup(group, { binaries, programs, keep: false }, tell)
}

/** One seed, in an evening of its own; `what` it must still be, since another list of faults or places makes others of the seeds. */
function only(number: number, what: RegExp): Group {
  const group = groupsOf(number, 1).at(-1)
  const seed = group?.seeds.at(-1)
  if (!group || !seed) throw new Error(`there is no seed ${number}`)
  const said = describe({ seed, scenario: group.scenario, typed: [seed.action], against: [] })
  if (!what.test(said)) throw new Error(`another seed is to be chosen, this is no longer ${what}: ${said}`)
  return { ...group, seeds: [seed] }
}

async function playBroken(name: string, sabotage: Sabotage, group: Group): Promise<readonly string[]> {
  const { folder, remove } = await brokenBuild(name, sabotage)
  try {
    const [outcome] = await play(group, folder)
    return outcome?.against ?? []
  } finally {
    remove()
  }
}

test.serial('20 faults, one after the other, break nothing', async (t) => {
  t.timeout(15 * 60_000)
  for (const group of groupsOf(1, 20)) {
    const outcomes = await play(group, join(projectFolder, 'dist'), (outcome) => t.log(describe(outcome)))
    for (const outcome of outcomes) t.deepEqual(outcome.against, [], `${describe(outcome)}\n${replay(outcome)}`)
    t.is(outcomes.length, group.seeds.length)
  }
})

test.serial('a build that journals a change only when it has been made is caught', async (t) => {
  const group = only(6903, /A +answer of talosctl lost, .* into provision "Give the new machine its config"; rollback/)
  // Whether he unplugs the new machine must not matter. Both have one address: whichever gets it, the other is where it must not be.
  const against = await playBroken('undo', undoAfterChange, { ...group, unplugs: false })
  t.true(
    against.some((line) =>
      /the new machine still runs with the cluster's config|rollback ended with 1 and does not come/.test(line),
    ),
    against.join('\n'),
  )
})

test.serial('a build whose rollback does not fence the new machine is caught', async (t) => {
  const group = only(3954, /A +Ctrl-C, .* into provision "Fetch the kubeconfig"; rollback/)
  const against = await playBroken('fence', withoutFencing, group)
  t.true(
    against.some((line) => /two live etcds of one cluster/.test(line)),
    against.join('\n'),
  )
})
