import { OperatorError } from '../../migration/errors.ts'
import type { MemberState } from './members.ts'

/**
 * How many voters must agree for etcd to take a write: more than half of all of them, whether they live or not.
 * Source: https://etcd.io/docs/v3.6/faq/ ("What is failure tolerance?")
 */
export function quorumOf(voters: number): number {
  return Math.floor(voters / 2) + 1
}

/** How many voters may fail while etcd goes on. */
export function tolerance(voters: number): number {
  return voters - quorumOf(voters)
}

/** `3 voters, a quorum is 2, so 1 may fail`. */
export function describeTolerance(voters: number): string {
  const may = tolerance(voters) === 0 ? 'none' : String(tolerance(voters))
  return `${count(voters, 'voter')}, a quorum is ${quorumOf(voters)}, so ${may} may fail`
}

type Member = Pick<MemberState, 'hostname' | 'id' | 'learner' | 'problem'>

/**
 * Refuses to add a member while one is not well or is a learner. The new one raises the quorum the moment that it is promoted, and a
 * member that is dead counts against it.
 * @throws OperatorError with the arithmetic
 */
export function verifyMayJoin(members: readonly Member[], joining: string): void {
  const learner = members.find((member) => member.learner && member.hostname !== joining)
  if (learner) {
    throw new OperatorError(`${nameOf(learner)} is still a learner of etcd: ${joining} has to wait.`, {
      means: 'etcd takes one learner at a time. Nothing was changed.',
      next: `Wait until it is a voter (talosctl etcd members). One that never comes: task migrate:leave NODE=${nameOf(learner)}`,
    })
  }
  const { voters, healthy, sick } = census(members)
  if (sick.length === 0) return
  const after = voters.length + 1
  throw new OperatorError(`${joining} may not join: ${sick.map(describeSick).join('; ')}.`, {
    means: `Of ${count(voters.length, 'voter')} ${healthy.length} are well. With ${joining} there would be ${after}, whose quorum is ${quorumOf(after)}: ${marginOf(healthy.length + 1, after)}. Nothing was changed.`,
    next: `Bring it back, or take a dead one out first: task migrate:leave NODE=${sick.map(nameOf)[0]}`,
  })
}

/**
 * Refuses to take a voter away for good when those that are left would not be a quorum of themselves, or when there is no
 * quorum now that could agree to it.
 * @param leaving the member's id
 * @throws OperatorError with the arithmetic
 */
export function verifyMayLeave(members: readonly Member[], leaving: string): void {
  const { voters, healthy } = census(members)
  const gone = members.find(({ id }) => id === leaving)
  if (gone && !gone.learner && voters.length === 1) {
    throw new OperatorError(`${nameOf(gone)} is the only voter of etcd: it cannot leave.`, {
      means: '1 voter less 1 is none: the cluster would be gone. Nothing was changed.',
      next: 'Join another one first: task migrate:join NODE=… IP=…',
    })
  }
  verifyQuorum(voters, healthy, `${gone ? nameOf(gone) : leaving} cannot be removed`)
  // A learner has no vote: nothing changes for the others.
  if (!gone || gone.learner) return
  const rest = voters.length - 1
  const left = healthy.filter(({ id }) => id !== leaving).length
  if (left >= quorumOf(rest)) return
  throw new OperatorError(`${nameOf(gone)} may not leave: etcd would lose its quorum.`, {
    means: `Of ${count(voters.length, 'voter')} ${healthy.length} are well. Without ${nameOf(gone)} there are ${rest}, whose quorum is ${quorumOf(rest)}, and ${left} would be well. Nothing was changed.`,
    next: 'Bring the others back first (talosctl etcd status), or join another one.',
  })
}

/**
 * Refuses to switch a voter off for a while when the others could not go on without it.
 * @param away the member's id
 * @throws OperatorError with the arithmetic
 */
export function verifyMayBeAway(members: readonly Member[], away: string): void {
  const { voters, healthy } = census(members)
  const left = healthy.filter(({ id }) => id !== away).length
  if (left >= quorumOf(voters.length)) return
  const gone = members.find(({ id }) => id === away)
  throw new OperatorError(`${gone ? nameOf(gone) : away} may not be taken away: etcd would lose its quorum.`, {
    means: `${count(voters.length, 'voter')} need ${quorumOf(voters.length)}; without it ${left} would be left. Nothing was changed.`,
    next: 'Bring the others back first, or join another control plane: task migrate:join NODE=… IP=…',
  })
}

/**
 * The verdict at the end: two voters are worse than one, for either's failure stops the cluster.
 * @throws OperatorError (exit code 1) at two
 */
export function refuseToEndAtTwo(members: readonly Member[]): void {
  const voters = members.filter(({ learner }) => !learner)
  if (voters.length !== 2) return
  throw new OperatorError('etcd has TWO voters: this is not highly available, it is worse than one.', {
    means: `${describeTolerance(2)}. ${voters.map(nameOf).join(' and ')} must both live for the cluster to live; with one alone only that one had to.`,
    next: 'Join a third tonight: task migrate:join NODE=… IP=…   Or go back to one: task migrate:leave NODE=…',
  })
}

function verifyQuorum(voters: readonly Member[], healthy: readonly Member[], what: string): void {
  if (healthy.length >= quorumOf(voters.length)) return
  throw new OperatorError(`${what}: etcd has no quorum.`, {
    means: `${count(voters.length, 'voter')} need ${quorumOf(voters.length)}, and ${healthy.length} are well: nobody can agree to any change. Nothing was changed.`,
    next: 'Bring a member back. If they are lost for good, recover from a snapshot: task migrate:provision SNAPSHOT=…',
  })
}

function census(members: readonly Member[]) {
  const voters = members.filter(({ learner }) => !learner)
  const healthy = voters.filter(({ problem }) => problem === null)
  return { voters, healthy, sick: voters.filter(({ problem }) => problem !== null) }
}

function marginOf(healthy: number, voters: number): string {
  const spare = healthy - quorumOf(voters)
  if (spare < 0) return 'it could not be had'
  return spare === 0 ? 'not one more could fail' : `${spare} more could fail`
}

function describeSick(member: Member): string {
  return `${nameOf(member)}: ${member.problem}`
}

/** A member that was added and never started has no name yet. */
function nameOf({ hostname, id }: Member): string {
  return hostname || `member ${id}`
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
