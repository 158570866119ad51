import test from 'ava'
import { drainOptions } from '../../lib/kubernetes/drain-options.ts'
import { OperatorError } from '../../lib/migration/errors.ts'

const settings = { drainTimeout: 600, deleteEmptyDirData: false }

test('untold, a drain is as careful as kubectl: nothing forced, nothing deleted, graces kept', (t) => {
  t.deepEqual(drainOptions({}, settings), {
    force: false,
    deleteEmptyDirData: false,
    disableEviction: false,
    gracePeriodSeconds: undefined,
    timeoutSeconds: 600,
    skipWaitSeconds: undefined,
    podSelector: undefined,
  })
})

test('EMPTYDIR_DATA=delete and --delete-emptydir-data say the same', (t) => {
  t.true(drainOptions({}, { ...settings, deleteEmptyDirData: true }).deleteEmptyDirData)
  t.true(drainOptions({ 'delete-emptydir-data': true }, settings).deleteEmptyDirData)
})

test('--timeout wins over DRAIN_TIMEOUT, takes kubectl’s durations, and 0 is without end', (t) => {
  const seconds = (timeout: string) => drainOptions({ timeout }, settings).timeoutSeconds
  t.deepEqual(['90', '90s', '5m', '1h30m', '0', '0s'].map(seconds), [90, 90, 300, 5400, Infinity, Infinity])
})

test('--grace-period 0 ends pods at once, a negative one leaves them their own', (t) => {
  const grace = (text: string) => drainOptions({ 'grace-period': text }, settings).gracePeriodSeconds
  t.deepEqual(['0', '30', '-1'].map(grace), [0, 30, undefined])
})

test('--skip-wait-for-delete-timeout 0 skips nothing', (t) => {
  const skip = (text: string) => drainOptions({ 'skip-wait-for-delete-timeout': text }, settings).skipWaitSeconds
  t.deepEqual(['0', '60'].map(skip), [undefined, 60])
})

for (const flags of [{ timeout: 'soon' }, { 'grace-period': '5m' }, { 'skip-wait-for-delete-timeout': 'x' }]) {
  test(`${JSON.stringify(flags)} is refused as wrong usage`, (t) => {
    const error = t.throws(() => drainOptions(flags, settings), { instanceOf: OperatorError })
    t.is(error?.exitCode, 2)
  })
}
