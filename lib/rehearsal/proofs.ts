import * as z from 'zod'
import { excuse, mayDiffer, rebuiltMayDiffer } from './may-differ.ts'
import type { PracticeCluster } from './practice-cluster.ts'
import type { PracticeMachine } from './practice-machine.ts'
import { keyOf, type ObjectTruth, type Truth } from './truth.ts'

/** One claim about the migrated cluster, computed from what was there before and what is there now. */
export interface Proof {
  claim: string
  holds: boolean
  /** The figures that it rests on. */
  evidence: string
  /** What speaks against it. */
  against: string[]
}

/** Every proof that rests on the objects of the two clusters. */
export function compareTruths(before: Truth, after: Truth): Proof[] {
  return [
    identityProof(before, after),
    contentProof(before, after),
    secretsProof(before, after),
    switchesProof(before, after),
  ]
}

function identityProof(before: Truth, after: Truth): Proof {
  const owed = [...before.values()].filter(owes)
  const against = owed.flatMap((old) => {
    const now = after.get(keyOf(old))
    if (!now) return [`${keyOf(old)} is gone`]
    return now.uid === old.uid ? [] : [`${keyOf(old)} is another object of that name (UID ${now.uid}, was ${old.uid})`]
  })
  const kinds = new Set(owed.map((one) => `${one.resource}.${one.group}`)).size
  const added = [...after.values()].filter((one) => owes(one) && !before.has(keyOf(one))).length
  const evidence = `${owed.length} objects of ${kinds} kinds; ${added} were added meanwhile`
  return proof('every object is there with the same UID', evidence, against)
}

function contentProof(before: Truth, after: Truth): Proof {
  const owed = [...before.values()].filter((one) => !excuse(one.group, one.resource) && !isSecret(one))
  const against = owed.flatMap((old) => {
    const now = after.get(keyOf(old))
    return now && now.content !== old.content ? [`${keyOf(old)} says something else than before`] : []
  })
  return proof(
    'every object says what it said',
    `${owed.length} compared by SHA-256, metadata and status left out`,
    against,
  )
}

/** Whatever the way, and whoever wrote them: what is in a Secret is what was in it. */
export function secretsProof(before: Truth, after: Truth): Proof {
  const owed = [...before.values()].filter(isSecret)
  const against = owed.flatMap((old) => {
    const now = after.get(keyOf(old))
    if (!now) return [`${keyOf(old)} is gone`]
    return now.content === old.content ? [] : [`${keyOf(old)} decrypts to another value`]
  })
  return proof('every Secret decrypts to the same value', `${owed.length} Secrets, compared by SHA-256`, against)
}

function switchesProof(before: Truth, after: Truth): Proof {
  const owed = [...before.values()].filter((one) => Object.keys(one.switches).length > 0 && one.resource !== 'pods')
  const against = owed.flatMap((old) => {
    const now = after.get(keyOf(old))
    if (!now) return [`${keyOf(old)} is gone`]
    return Object.entries(old.switches)
      .filter(([name, value]) => now.switches[name] !== value)
      .map(([name, value]) => `${keyOf(old)}: ${name} ${now.switches[name] ?? 'unset'}, was ${value}`)
  })
  const counts = new Map<string, number>()
  for (const one of owed) for (const name of Object.keys(one.switches)) counts.set(name, (counts.get(name) ?? 0) + 1)
  const evidence = [...counts].map(([name, count]) => `${name} ${count}`).join(', ')
  return proof('replicas, suspended flags, sync policies and cordon are as before', evidence, against)
}

/** The old machine was shut down in order, and nothing of it runs any more. */
export function offProof(machine: PracticeMachine): Proof {
  const events = machine.timeline.map(({ event }) => event)
  const against: string[] = []
  if (machine.running) against.push(`its process ${machine.pid} is running`)
  if (events.at(-1) !== 'stopped')
    against.push(`the last that it told is "${events.at(-1) ?? 'nothing'}", not "stopped"`)
  if (!events.includes('shutdown-requested')) against.push('nobody asked it to shut down')
  return proof('the old machine is off', 'its processes are gone, and the last that it told is "stopped"', against)
}

const statusRow = z.object({ leader: z.string(), learner: z.string(), errors: z.string() })

/** etcd as the real talosctl sees it: one member, no learner, its own leader, no alarm. */
export async function etcdProof(cluster: Pick<PracticeCluster, 'talosctlOnNode'>): Promise<Proof> {
  const members = table(await cluster.talosctlOnNode('etcd', 'members'))
  const status = table(await cluster.talosctlOnNode('etcd', 'status'))
  const alarms = table(await cluster.talosctlOnNode('etcd', 'alarm', 'list'))
  const against: string[] = []
  if (members.length !== 1) against.push(`it has ${members.length} members`)
  for (const member of members) if (member.LEARNER !== 'false') against.push(`${member.HOSTNAME} is a learner`)
  for (const row of status) {
    const { leader, learner, errors } = statusRow.parse({
      leader: row.LEADER,
      learner: row.LEARNER,
      errors: row.ERRORS ?? '',
    })
    if (leader !== row.MEMBER) against.push(`the leader is ${leader}, not the member ${row.MEMBER}`)
    if (learner !== 'false') against.push(`${row.MEMBER} is a learner`)
    if (errors !== '') against.push(errors)
  }
  for (const alarm of alarms) against.push(`alarm: ${Object.values(alarm).join(' ')}`)
  const [only] = members
  const evidence = `talosctl etcd members: ${only?.HOSTNAME ?? 'none'} (${only?.ID ?? ''}), its own leader, no alarms`
  return proof('etcd is one healthy voter', evidence, against)
}

/** The lines that say what was not compared, and how much of it there was. */
export function excusedLines(before: Truth, recovery: 'snapshot' | 'gitops' = 'snapshot'): string[] {
  const isRebuilt = recovery === 'gitops'
  const everywhere = isRebuilt
    ? ['status and metadata of every object; cluster IPs, node ports, and the UIDs of claims: given out anew']
    : ['status, and metadata other than the UID, of every object: written anew by its controllers']
  const lines = [...mayDiffer, ...(isRebuilt ? rebuiltMayDiffer : [])].flatMap(({ group, resource, what, reason }) => {
    const count = [...before.values()].filter((one) => one.group === group && one.resource === resource).length
    const name = group === '' ? resource : `${resource}.${group}`
    return count === 0 ? [] : [`${name} (${count}, ${what === 'object' ? 'not compared' : 'UID only'}): ${reason}`]
  })
  return [...lines, ...everywhere]
}

export function proof(claim: string, evidence: string, against: string[]): Proof {
  return { claim, holds: against.length === 0, evidence, against }
}

/** Whether an object has to be the same one afterwards. */
export const owes = (one: ObjectTruth) => excuse(one.group, one.resource)?.what !== 'object'
export const isSecret = (one: ObjectTruth) => one.group === '' && one.resource === 'secrets'

/** A table of talosctl: columns begin where their titles do. */
export function table(text: string): Record<string, string>[] {
  const [header = '', ...rows] = text.split('\n').filter((line) => line.trim() !== '')
  const titles = [...header.matchAll(/\S+(?: \S+)*/g)].map((match) => ({ title: match[0], from: match.index }))
  return rows.map((row) =>
    Object.fromEntries(titles.map(({ title, from }, i) => [title, row.slice(from, titles[i + 1]?.from).trim()])),
  )
}
