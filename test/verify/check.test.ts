import test from 'ava'
import { OperatorError, RemoteError } from '../../lib/migration/errors.ts'
import { type Check, NotChecked, runChecks } from '../../lib/verify/check.ts'
import { failOnErrors } from '../../lib/verify/show.ts'

const fine: Check<string> = { name: 'Fine', run: () => [] }
const warning: Check<string> = {
  name: 'Old',
  run: (subject) => [{ subject, evidence: 'old trouble', severity: 'warning', wayOut: 'none' }],
}

test('a check that throws hides no other, and counts as an error', async (t) => {
  const broken: Check<string> = {
    name: 'Broken',
    run: () => {
      throw new Error('no route to host')
    },
  }
  const [first, second, third] = await runChecks([broken, fine, warning], 'x')
  t.like(first?.findings[0], { evidence: 'no route to host', severity: 'error' })
  t.deepEqual(second?.findings, [])
  t.like(third?.findings[0], { subject: 'x', severity: 'warning' })
})

test("an operator's error keeps its way out", async (t) => {
  const absent: Check<string> = {
    name: 'talosctl',
    run: async () => {
      throw new OperatorError('There is no talosctl.', { next: 'Install it.' })
    },
  }
  const [result] = await runChecks([absent], 'x')
  t.like(result?.findings[0], { evidence: 'There is no talosctl.', wayOut: 'Install it.' })
})

test('who does not answer now may answer at the next look; a fault is none that time heals', async (t) => {
  const failing = (error: Error): Check<string> => ({ name: 'Failing', run: () => Promise.reject(error) })
  const away = new RemoteError('connection refused', { means: 'it is away', next: 'wait' })
  const results = await runChecks(
    [failing(away), failing(new OperatorError('timed out')), failing(new TypeError())],
    'x',
  )
  t.deepEqual(
    results.map(({ findings }) => findings[0]?.converging),
    [true, true, false],
  )
})

test('a check that needs what another check misses says so, and is no second error', async (t) => {
  const needy: Check<string> = {
    name: 'Needy',
    run: () => Promise.reject(new NotChecked('it needs the Kubernetes API')),
  }
  const [result] = await runChecks([needy], 'x')
  t.deepEqual(result?.findings, [])
  t.is(result?.notChecked, 'it needs the Kubernetes API')
})

test('checks run at the same time', async (t) => {
  let running = 0
  let most = 0
  const slow: Check<string> = {
    name: 'Slow',
    run: async () => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setTimeout(resolve, 20))
      running--
      return []
    },
  }
  await runChecks([slow, slow, slow], 'x')
  t.is(most, 3)
})

test('errors fail preflight with their number, warnings do not', async (t) => {
  const results = await runChecks([fine, warning], 'x')
  t.notThrows(() => failOnErrors(results))
  const error: Check<string> = {
    name: 'Bad',
    run: () => [{ subject: 'x', evidence: 'y', severity: 'error', wayOut: 'z' }],
  }
  const error_ = t.throws(() =>
    failOnErrors([...results, { name: error.name, findings: error.run('x') as [], seconds: 0 }]),
  )
  t.regex(error_?.message ?? '', /One reason why tonight would fail/)
})
