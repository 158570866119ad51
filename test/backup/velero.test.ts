import anyTest, { type TestFn } from 'ava'
import { backUpWithVelero, lookAtVelero } from '../../lib/backup/velero.ts'
import { systemClock } from '../../lib/migration/clock.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { type BareCluster, startBareCluster } from '../kubernetes/bare-cluster.ts'
import { testMigration } from '../kubernetes/test-migration.ts'
import { backupsIn, backupsPath, installVelero, playVelero, setAvailable, setLocation } from './play-velero.ts'

// One cluster, one Velero: the tests take turns.
const test = (anyTest as TestFn<{ cluster: BareCluster }>).serial

test.before(async (t) => {
  t.context.cluster = await startBareCluster()
})
test.after.always((t) => t.context.cluster?.stop())

/** Long enough for a busy machine; a test that waits for nothing is not to wait for two hours. */
const patient = { VELERO_TIMEOUT: '60' }
const archive = (name: string) => `Catalyst_Cluster-20261124T120000Z-${name}`
const nameOf = (name: string) => `catalyst-cluster-20261124t120000z-${name}`
const working = { phase: 'InProgress', progress: { totalItems: 120, itemsBackedUp: 34 } }
const ended = (phase: string, more: object = {}) => [
  working,
  { phase, progress: { totalItems: 120, itemsBackedUp: 120 }, ...more },
]

test('where Velero is not installed, one sentence says so and nothing waits', async (t) => {
  const { migration, lines } = testMigration(patient)
  t.is(await lookAtVelero(migration, t.context.cluster.api), null)
  await backUpWithVelero(migration, t.context.cluster.api, archive('a'))
  t.deepEqual(lines, ['info Velero is not installed: no data of volumes is saved by this backup.'])
})

test('its API alone is no Velero: nobody would act on a Backup', async (t) => {
  const { api } = t.context.cluster
  await installVelero(api, ['not-a-server'])
  const { migration, lines } = testMigration(patient)
  t.is(await lookAtVelero(migration, api), null)
  t.regex(lines.join(), /not installed/)
  const args = [{ op: 'replace' as const, path: '/spec/template/spec/containers/0/args', value: ['server'] }]
  await api.jsonPatch('/apis/apps/v1/namespaces/velero/deployments/velero', args)
  t.is((await lookAtVelero(migration, api))?.location, 'default')
})

test('a Backup of all namespaces is made by the defaults of the installation, and waited for', async (t) => {
  const { api } = t.context.cluster
  const { migration, lines, journal } = testMigration(patient)
  const stop = playVelero(api, () => [{}, { phase: 'New' }, ...ended('Completed', { warnings: 2 })])
  t.teardown(stop)
  await backUpWithVelero(migration, api, archive('complete'))
  const [backup] = await backupsIn(api)
  t.is(backup?.metadata.name, nameOf('complete'))
  t.deepEqual(backup?.spec, { includedNamespaces: ['*'], storageLocation: 'default' })
  const said = lines.join('\n')
  t.regex(said, /detail waiting until Velero has finished its Backup velero\/.*saw: /)
  t.regex(said, /Backup velero\/.* is complete: 120 items, 0 errors, 2 warnings/)
  t.regex(said, /warn Velero gave 2 warnings: velero backup logs catalyst/)
  t.true(journal.records.some((record) => record.type === 'wait' && record.met))
  await stop()
})

for (const [phase, more, said] of [
  ['PartiallyFailed', { errors: 3, warnings: 1 }, /ended as PartiallyFailed \(120 items, 3 errors, 1 warnings\)/],
  ['Failed', { failureReason: 'the bucket is gone' }, /ended as Failed .*: the bucket is gone/],
  ['FailedValidation', { validationErrors: ['a', 'b'] }, /ended as FailedValidation .*: a; b/],
] as const) {
  test(`${phase} ends with an error for the operator; the same again makes another Backup beside it`, async (t) => {
    const { api } = t.context.cluster
    const name = phase.toLowerCase()
    const stop = playVelero(api, (backup) =>
      backup.endsWith('-2') ? ended('Completed') : backup.endsWith(name) ? ended(phase, more) : [],
    )
    t.teardown(stop)
    const { migration, journal } = testMigration(patient)
    const error = await t.throwsAsync(backUpWithVelero(migration, api, archive(name)), { instanceOf: OperatorError })
    t.regex(error.what, said)
    t.regex(error.means ?? '', /Our own backup is whole/)
    t.regex(error.next ?? '', new RegExp(`velero backup logs ${nameOf(name)} --namespace velero.*VELERO=off`))
    await backUpWithVelero(testMigration(patient, { journal }).migration, api, archive(name))
    const mine = (await backupsIn(api)).filter(({ metadata }) => metadata.name.includes(`-${name}`))
    t.deepEqual(
      mine.map(({ metadata }) => metadata.name),
      [nameOf(name), `${nameOf(name)}-2`],
    )
    await stop()
  })
}

/** As when the process is killed while it sleeps between two looks. */
const killedInTheWait = { ...systemClock, sleep: () => Promise.reject(new Error('killed')) }

for (const [name, acts, after] of [
  ['under-way', [working], ended('Completed')],
  ['completed-meanwhile', ended('Completed'), []],
] as const) {
  test(`killed in the wait, and started again: the Backup that is ${name} is taken, even for a newer backup of ours`, async (t) => {
    const { api } = t.context.cluster
    const first = testMigration(patient, { clock: killedInTheWait })
    await t.throwsAsync(backUpWithVelero(first.migration, api, archive(name)), { message: 'killed' })
    const before = (await backupsIn(api)).length
    for (const status of acts) await api.mergePatch(`${backupsPath}/${nameOf(name)}`, { status })
    const stop = playVelero(api, (backup) => (backup === nameOf(name) ? after : []))
    t.teardown(stop)
    const again = testMigration(patient, { journal: first.journal })
    await backUpWithVelero(again.migration, api, archive(`newer-than-${name}`))
    t.is((await backupsIn(api)).length, before)
    t.regex(again.lines.join('\n'), new RegExp(`-${name} is complete`))
    await stop()
  })
}

test('a later backup of the same run is another Backup of Velero too', async (t) => {
  const { api } = t.context.cluster
  const stop = playVelero(api, (name) => (/-(one|two)$/.test(name) ? ended('Completed') : []))
  t.teardown(stop)
  const { migration, journal } = testMigration(patient)
  await backUpWithVelero(migration, api, archive('one'))
  await backUpWithVelero(testMigration(patient, { journal }).migration, api, archive('two'))
  const names = (await backupsIn(api)).map(({ metadata }) => metadata.name)
  t.true(names.includes(nameOf('one')) && names.includes(nameOf('two')))
  await stop()
})

test('one that was complete before the journal knew it is not made twice', async (t) => {
  const { api } = t.context.cluster
  const before = (await backupsIn(api)).length
  const { migration, lines } = testMigration(patient)
  await backUpWithVelero(migration, api, archive('complete'))
  t.is((await backupsIn(api)).length, before)
  t.regex(lines.join('\n'), /-complete is complete/)
})

test('a Backup that is deleted meanwhile ends the wait', async (t) => {
  const { api } = t.context.cluster
  const path = `/apis/velero.io/v1/namespaces/velero/backups/${nameOf('deleted')}`
  const removing = { ...systemClock, sleep: async () => void (await api.remove(path)) }
  const { migration } = testMigration(patient, { clock: removing })
  await t.throwsAsync(backUpWithVelero(migration, api, archive('deleted')), { message: /was deleted while/ })
})

test('one that takes too long ends with what was last seen', async (t) => {
  const { api } = t.context.cluster
  const stop = playVelero(api, (name) =>
    name === nameOf('slow') ? [{ ...working, backupItemOperationsAttempted: 5, backupItemOperationsCompleted: 2 }] : [],
  )
  t.teardown(stop)
  const { migration } = testMigration({ VELERO_TIMEOUT: '2' })
  const error = await t.throwsAsync(backUpWithVelero(migration, api, archive('slow')), { instanceOf: OperatorError })
  t.regex(error.what, /Waited 2\.0s until Velero has finished/)
  t.regex(error.means ?? '', /InProgress, 34 of 120 items, 2 of 5 uploads/)
  await stop()
})

test('a dry run says what it would do, and makes nothing', async (t) => {
  const { api } = t.context.cluster
  const before = (await backupsIn(api)).length
  const { migration, lines } = testMigration(patient, { dryRun: true })
  await backUpWithVelero(migration, api, archive('dry'))
  t.is((await backupsIn(api)).length, before)
  t.regex(lines.join('\n'), /Make Velero's Backup velero\/.*-dry of all namespaces would be made/)
  t.regex(lines.join('\n'), /wait until Velero has finished .* would be made/)
})

test('what keeps Velero from working is said before, and no Backup is made that could only fail', async (t) => {
  const { api } = t.context.cluster
  const before = (await backupsIn(api)).length
  const refuses = async (said: RegExp) => {
    const { migration, lines } = testMigration(patient)
    await lookAtVelero(migration, api)
    t.regex(lines.join('\n'), said)
    await t.throwsAsync(backUpWithVelero(migration, api, archive('unfit')), {
      instanceOf: OperatorError,
      message: said,
    })
  }
  await setLocation(api, { phase: 'Unavailable', message: 'no such bucket' })
  await refuses(/BackupStorageLocation default is Unavailable \(no such bucket\)/)
  await setLocation(api, { phase: 'Available' }, { accessMode: 'ReadOnly' })
  await refuses(/BackupStorageLocation default is read-only/)
  await setLocation(api, { phase: 'Available' })
  await setAvailable(api, 0)
  await refuses(/Deployment velero\/velero has no pod that is available/)
  await setAvailable(api, 1)
  t.is((await backupsIn(api)).length, before)
})

test('VELERO=off leaves it alone', async (t) => {
  const { api } = t.context.cluster
  const before = (await backupsIn(api)).length
  const { migration, lines } = testMigration({ ...patient, VELERO: 'off' })
  t.is(await lookAtVelero(migration, api), null)
  await backUpWithVelero(migration, api, archive('off'))
  t.is((await backupsIn(api)).length, before)
  t.deepEqual(lines, ['info Velero is not used: VELERO=off.'])
})
