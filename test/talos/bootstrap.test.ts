import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { Clock } from '../../lib/migration/clock.ts'
import { waitFor } from '../../lib/migration/wait.ts'
import { parseAddress } from '../../lib/network/addresses.ts'
import { bootstrapFrom } from '../../lib/talos/bootstrap.ts'
import { Talosctl } from '../../lib/talos/talosctl.ts'
import { type FakeTalosctl, fakeTalosctl } from './fake-talosctl.ts'

const address = parseAddress('192.0.2.10', 'test')

/** A clock whose seconds pass when somebody sleeps. */
function sleeper(): Clock {
  let now = 0
  return {
    now: () => new Date(now),
    elapsed: () => now,
    sleep: async (ms) => {
      now += ms
    },
  }
}

async function bootstrapping(t: ExecutionContext, states: string[], mayBeGiven = false, timeout = 15) {
  const fake = await fakeTalosctl()
  t.teardown(() => fake.remove())
  const talosconfig = join(fake.folder, 'talosconfig')
  for (const name of ['talosconfig', ...states]) await writeFile(join(fake.folder, name), 'context: x\n')
  await fake.become('running aaaaaaaa-0000-0000-0000-000000000001 02:00:00:00:00:01')
  const talosctl = await Talosctl.open({ talosctl: fake.path, talosVersion: 'v1.11.1', talosconfig })
  const waiting = { clock: sleeper(), signal: new AbortController().signal, onSeen: () => undefined }
  const outcome = waitFor(bootstrapFrom(talosctl, { address }, '/dev/null', timeout, mayBeGiven), waiting)
  return { fake, outcome }
}

const orders = async (fake: FakeTalosctl) => (await fake.calls()).filter((call) => call.startsWith('bootstrap')).length

test('an etcd that runs is never bootstrapped', async (t) => {
  const { fake, outcome } = await bootstrapping(t, ['etcd-runs'])
  t.is(await outcome, 'had-data')
  t.is(await orders(fake), 0)
})

test('an order whose answer was lost is not given again when etcd starts', async (t) => {
  const { fake, outcome } = await bootstrapping(t, ['answer-lost', 'etcd-starts'])
  t.is(await outcome, 'had-data')
  t.is(await orders(fake), 1)
})

test('nor while etcd may be starting still', async (t) => {
  const { fake, outcome } = await bootstrapping(t, ['answer-lost'])
  await t.throwsAsync(outcome, { message: /accepts the order to recover etcd/ })
  t.is(await orders(fake), 1)
})

test('after a kill etcd is given time to start before the order is given again', async (t) => {
  const early = await bootstrapping(t, [], true)
  await t.throwsAsync(early.outcome, { message: /accepts the order to recover etcd/ })
  t.is(await orders(early.fake), 0)
  const late = await bootstrapping(t, [], true, 60)
  t.is(await late.outcome, 'bootstrapped')
  t.is(await orders(late.fake), 1)
})
