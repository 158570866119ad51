import test from 'ava'
import type { Clock } from '../../lib/migration/clock.ts'
import { Interrupted, OperatorError } from '../../lib/migration/errors.ts'
import { waitFor } from '../../lib/migration/wait.ts'

function clockThatJumps(): Clock {
  let time = 0
  return {
    now: () => new Date(time),
    elapsed: () => time,
    sleep: async (ms) => {
      time += ms
    },
  }
}

function waiting(signal = new AbortController().signal) {
  const seen: string[] = []
  return { seen, clock: clockThatJumps(), signal, onSeen: (saw: string) => void seen.push(saw) }
}

test('a wait ends as soon as its condition is met, and shows meanwhile what it saw', async (t) => {
  let looks = 0
  const w = waiting()
  const probe = async () =>
    ++looks === 3 ? { met: true as const, value: 'up' } : { met: false as const, saw: `look ${looks}` }
  t.is(await waitFor({ name: 'the API answers', timeoutSeconds: 60, probe }, w), 'up')
  t.deepEqual(w.seen, ['waiting until the API answers; saw: look 1', 'waiting until the API answers; saw: look 2'])
})

test('after its timeout a wait says what it waited for, what it last saw and what to do', async (t) => {
  const probe = async () => ({ met: false as const, saw: 'connection refused' })
  const condition = { name: '6443 answers', timeoutSeconds: 5, hint: 'Look at the console.', probe }
  const error = await t.throwsAsync(waitFor(condition, waiting()), { instanceOf: OperatorError })
  t.regex(error?.what ?? '', /5\.0s.*6443 answers/)
  t.is(error?.means, 'Last seen: connection refused.')
  t.is(error?.next, 'Look at the console.')
})

for (const hours of [2, -2]) {
  test(`a time of day that jumps by ${hours} hours makes a wait neither shorter nor longer`, async (t) => {
    let elapsed = 0
    const clock: Clock = {
      now: () => new Date(elapsed > 0 ? hours * 3600e3 : 0),
      elapsed: () => elapsed,
      sleep: async (ms) => {
        elapsed += ms
      },
    }
    let looks = 0
    const probe = async () => ({ met: false as const, saw: `look ${++looks}` })
    const condition = { name: 'x', timeoutSeconds: 5, everyMs: 1000, probe }
    const error = await t.throwsAsync(waitFor(condition, { ...waiting(), clock }), { instanceOf: OperatorError })
    t.is(error?.means, 'Last seen: look 6.')
  })
}

test('an error of the probe means not yet, and is the last thing seen', async (t) => {
  const probe = async () => {
    throw new Error('ECONNREFUSED')
  }
  const error = await t.throwsAsync(waitFor({ name: 'x', timeoutSeconds: 1, probe }, waiting()), {
    instanceOf: OperatorError,
  })
  t.is(error?.means, 'Last seen: ECONNREFUSED.')
})

test("an operator's error of the probe ends the wait at once", async (t) => {
  let looks = 0
  const probe = async () => {
    looks += 1
    throw new OperatorError('The old machine is still alive.')
  }
  await t.throwsAsync(waitFor({ name: 'x', timeoutSeconds: 60, probe }, waiting()), { message: /still alive/ })
  t.is(looks, 1)
})

test('an interrupted wait ends as interrupted', async (t) => {
  const controller = new AbortController()
  const probe = async () => {
    controller.abort()
    return { met: false as const, saw: '' }
  }
  await t.throwsAsync(waitFor({ name: 'x', timeoutSeconds: 60, probe }, waiting(controller.signal)), {
    instanceOf: Interrupted,
  })
})

test('what wakes a wait has it look before its time', async (t) => {
  let looks = 0
  const probe = async () => (++looks === 3 ? { met: true as const, value: 'up' } : { met: false as const, saw: '' })
  const pauses: AbortSignal[] = []
  // Nobody would wait for this clock.
  const clock: Clock = { now: () => new Date(0), elapsed: () => 0, sleep: () => new Promise(() => undefined) }
  const wake = async (signal: AbortSignal) => void pauses.push(signal)
  t.is(await waitFor({ name: 'x', timeoutSeconds: 60, everyMs: 1e6, wake, probe }, { ...waiting(), clock }), 'up')
  t.deepEqual(
    pauses.map(({ aborted }) => aborted),
    [true, true],
    'each pause ends what it began',
  )
})

test('what never wakes a wait does not hold it up', async (t) => {
  let looks = 0
  const probe = async () => (++looks === 3 ? { met: true as const, value: 'up' } : { met: false as const, saw: '' })
  const wake = () => new Promise<void>(() => undefined)
  t.is(await waitFor({ name: 'x', timeoutSeconds: 60, wake, probe }, waiting()), 'up')
})
