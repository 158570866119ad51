import test, { type ExecutionContext } from 'ava'
import { OperatorError } from '../../../lib/migration/errors.ts'
import {
  describeTolerance,
  quorumOf,
  refuseToEndAtTwo,
  tolerance,
  verifyMayBeAway,
  verifyMayJoin,
  verifyMayLeave,
} from '../../../lib/talos/join/quorum.ts'

const member = (hostname: string, more: { learner?: boolean; problem?: string } = {}) => ({
  hostname,
  id: `id of ${hostname}`,
  learner: more.learner ?? false,
  problem: more.problem ?? null,
})
const [one, two, three] = ['talos00', 'talos01', 'talos02'].map((name) => member(name)) as [Well, Well, Well]
type Well = ReturnType<typeof member>
const dead = (each: Well) => ({ ...each, problem: 'it does not answer' })
const learning = (each: Well) => ({ ...each, learner: true })

function refused(t: ExecutionContext, verify: () => void): OperatorError {
  const error = t.throws(verify, { instanceOf: OperatorError })
  return error as OperatorError
}

test('a quorum is more than half, and an even number of voters tolerates no more than one less', (t) => {
  t.deepEqual([1, 2, 3, 4, 5, 6, 7].map(quorumOf), [1, 2, 2, 3, 3, 4, 4])
  t.deepEqual([1, 2, 3, 4, 5, 6, 7].map(tolerance), [0, 0, 1, 1, 2, 2, 3])
  t.is(describeTolerance(3), '3 voters, a quorum is 2, so 1 may fail')
  t.is(describeTolerance(1), '1 voter, a quorum is 1, so none may fail')
})

test('one may join where all are well', (t) => {
  t.notThrows(() => verifyMayJoin([one], 'talos01'))
  t.notThrows(() => verifyMayJoin([one, two], 'talos02'))
})

test('nobody joins while a voter is dead: the arithmetic is told', (t) => {
  const { what, means, next } = refused(t, () => verifyMayJoin([one, two, dead(three)], 'talos03'))
  t.regex(what, /talos03 may not join: talos02: it does not answer/)
  t.regex(
    means ?? '',
    /Of 3 voters 2 are well\. With talos03 there would be 4, whose quorum is 3: not one more could fail/,
  )
  t.regex(next ?? '', /migrate:leave NODE=talos02/)
  t.regex(
    refused(t, () => verifyMayJoin([one, dead(two)], 'talos02')).means ?? '',
    /quorum is 2: not one more could fail/,
  )
  const hopeless = refused(t, () => verifyMayJoin([one, dead(two), dead(three)], 'talos03'))
  t.regex(hopeless.means ?? '', /quorum is 3: it could not be had/)
})

test('etcd takes one learner at a time, and the joining machine may be it', (t) => {
  t.regex(refused(t, () => verifyMayJoin([one, learning(two)], 'talos02')).what, /talos01 is still a learner/)
  t.notThrows(() => verifyMayJoin([one, learning(two)], 'talos01'))
})

test('a member that was added and never started has no name, and is called by its id', (t) => {
  const nameless = { ...learning(two), hostname: '' }
  t.regex(refused(t, () => verifyMayJoin([one, nameless], 'talos02')).what, /member id of talos01 is still a learner/)
})

test('one of three may leave, dead or alive', (t) => {
  t.notThrows(() => verifyMayLeave([one, two, three], three.id))
  t.notThrows(() => verifyMayLeave([one, two, dead(three)], three.id))
  t.notThrows(() => verifyMayLeave([one, two], two.id))
})

test('the only voter may not leave', (t) => {
  t.regex(refused(t, () => verifyMayLeave([one], one.id)).what, /only voter/)
  t.regex(refused(t, () => verifyMayLeave([one, learning(two)], one.id)).what, /only voter/)
})

test('a living one may not leave the dead alone', (t) => {
  const { what, means } = refused(t, () => verifyMayLeave([one, two, dead(three)], two.id))
  t.regex(what, /talos01 may not leave: etcd would lose its quorum/)
  t.regex(means ?? '', /Of 3 voters 2 are well\. Without talos01 there are 2, whose quorum is 2, and 1 would be well/)
})

test('without a quorum nobody can be removed, not even the dead', (t) => {
  const { what, means } = refused(t, () => verifyMayLeave([one, dead(two)], two.id))
  t.regex(what, /talos01 cannot be removed: etcd has no quorum/)
  t.regex(means ?? '', /2 voters need 2, and 1 are well/)
})

test('a learner has no vote, so it may always leave while there is a quorum', (t) => {
  t.notThrows(() => verifyMayLeave([one, learning(two)], two.id))
  t.notThrows(() => verifyMayLeave([one, dead(learning(two))], two.id))
  t.throws(() => verifyMayLeave([one, dead(two), learning(three)], three.id), { message: /no quorum/ })
})

test('one of three may be away for a while, one of two not', (t) => {
  t.notThrows(() => verifyMayBeAway([one, two, three], one.id))
  t.regex(
    refused(t, () => verifyMayBeAway([one, two], one.id)).means ?? '',
    /2 voters need 2; without it 1 would be left/,
  )
  t.throws(() => verifyMayBeAway([one, two, dead(three)], one.id), { message: /would lose its quorum/ })
})

test('an evening does not end at two voters', (t) => {
  const { what, exitCode, next } = refused(t, () => refuseToEndAtTwo([one, two]))
  t.regex(what, /TWO voters/)
  t.is(exitCode, 1)
  t.regex(next ?? '', /Join a third tonight/)
  t.notThrows(() => refuseToEndAtTwo([one]))
  t.notThrows(() => refuseToEndAtTwo([one, two, three]))
  t.notThrows(() => refuseToEndAtTwo([one, learning(two)]))
})
