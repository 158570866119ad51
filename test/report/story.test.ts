import test from 'ava'
import { outagesIn } from '../../lib/report/outage.ts'
import { readStory, type Span } from '../../lib/report/story.ts'
import { change, outcome, phase, recordsAt, run, step, wait } from './records.ts'

const seconds = ({ from, to }: Span) => (to - from) / 1000

test('a journal without a run has no story', (t) => {
  t.is(readStory([]), null)
})

test('each attempt at a phase is told with its steps, its waits and how it ended', (t) => {
  const story = readStory(
    recordsAt(
      [0, run],
      [1, phase('drain', 'begin')],
      [2, step('drain', 'Suspend Flux', 'begin')],
      [7, wait('drain', 'Suspend Flux', 'Flux stays suspended', 4)],
      [8, step('drain', 'Suspend Flux', 'done')],
      [9, step('drain', 'Cordon', 'begin')],
      [10, step('drain', 'Cordon', 'failed')],
      [11, phase('drain', 'failed', 'the API went away')],
      [60, phase('drain', 'resume')],
      [61, phase('drain', 'done')],
      [62, { type: 'end' }],
    ),
  )
  t.is(story?.ended, true)
  const [first, second] = story?.attempts ?? []
  t.deepEqual([first?.state, first?.message, first && seconds(first)], ['failed', 'the API went away', 10])
  t.deepEqual(
    first?.steps.map((one) => [one.title, one.state, seconds(one)]),
    [
      ['Suspend Flux', 'done', 6],
      ['Cordon', 'failed', 1],
    ],
  )
  t.deepEqual(
    first?.waits.map((one) => [one.name, seconds(one)]),
    [['Flux stays suspended', 4]],
  )
  t.deepEqual([second?.state, second && seconds(second)], ['done', 1])
})

test('an attempt that was killed lasted until its own last word, not until the next attempt', (t) => {
  const story = readStory(
    recordsAt(
      [0, run],
      [1, phase('backup', 'begin')],
      [2, step('backup', 'Back up etcd', 'begin')],
      [5, change(1, 'backup', 'Write it')],
      [900, phase('backup', 'resume')],
      [905, phase('backup', 'done')],
    ),
  )
  const [killed] = story?.attempts ?? []
  t.deepEqual([killed?.state, killed && seconds(killed)], ['unfinished', 4])
  t.deepEqual([killed?.steps[0]?.state, killed?.steps[0] && seconds(killed.steps[0])], ['unfinished', 3])
})

test('a change is told with what became of it last', (t) => {
  const story = readStory(
    recordsAt(
      [0, run],
      [1, change(1, 'drain', 'Scale a', 'scale')],
      [2, outcome(1, 'done')],
      [3, change(2, 'drain', 'Scale b', 'scale')],
      [4, outcome(2, 'done')],
      [5, outcome(2, 'undone')],
      [6, change(3, 'drain', 'Scale c', 'scale')],
      [7, outcome(3, 'conflict', 'conflict: somebody scaled it to 2')],
      [8, change(4, 'drain', 'Scale d')],
    ),
  )
  t.deepEqual(
    story?.changes.map(({ what, state, undoable }) => [what, state, undoable]),
    [
      ['Scale a', 'made', true],
      ['Scale b', 'undone', true],
      ['Scale c', 'conflict', true],
      ['Scale d', 'begun', false],
    ],
  )
})

test('the API is away from the order to shut down until it was seen ready', (t) => {
  const outages = outagesIn(
    recordsAt(
      [0, run],
      [10, change(1, 'shutdown', 'Shut down talos00', 'power')],
      [11, change(1, 'shutdown', 'Shut down talos00', 'power')],
      [40, wait('provision', 'Wait', 'the Kubernetes API is ready at https://192.0.2.1:6443', 5)],
      [50, wait('resume', 'Wait', 'the API at https://192.0.2.1:6443 is ready', 5)],
    ),
  )
  t.deepEqual(
    outages.map((one) => [seconds(one), one.over]),
    [[30, true]],
  )
})

test('an outage that has not ended lasts to the end of the journal, and says so', (t) => {
  const outages = outagesIn(
    recordsAt(
      [0, run],
      [10, change(1, 'shutdown', 'Shut down talos00', 'power')],
      [20, wait('provision', 'Wait', 'the Kubernetes API is ready at https://192.0.2.1:6443', 5, false)],
      [25, phase('provision', 'failed')],
    ),
  )
  t.deepEqual(
    outages.map((one) => [seconds(one), one.over]),
    [[15, false]],
  )
})
