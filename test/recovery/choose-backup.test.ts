import test from 'ava'
import { OperatorError } from '../../lib/migration/errors.ts'
import { chooseBackup, refuseUnlessOff } from '../../lib/recovery/choose-backup.ts'
import { testMigration } from '../kubernetes/test-migration.ts'

const off = { address: '192.168.1.54', at: '2025-12-04T20:00:00Z', ports: 'closed' }

test('a cluster is rebuilt from the backup of its run, or from the one that SNAPSHOT names', (t) => {
  const { migration } = testMigration()
  t.throws(() => chooseBackup(migration), { instanceOf: OperatorError, message: /no backup to rebuild/ })
  migration.remember('backup', { folder: '/nas/of-this-run' })
  t.is(chooseBackup(migration), '/nas/of-this-run')
  t.is(chooseBackup(testMigration({ SNAPSHOT: '/nas/older' }).migration), '/nas/older')
  t.is(chooseBackup(testMigration({ SNAPSHOT: '/nas/older/etcd.snapshot.gz.age' }).migration), '/nas/older')
})

test('nothing is rebuilt before this run has proven the old machine off', (t) => {
  const { migration } = testMigration()
  t.throws(() => refuseUnlessOff(migration), { instanceOf: OperatorError, message: /has not proven the old machine/ })
  t.notThrows(() => refuseUnlessOff(testMigration({}, { dryRun: true }).migration))
  t.notThrows(() => refuseUnlessOff(testMigration({ SNAPSHOT: '/nas/older' }).migration))
  migration.remember('old-machine-off', off)
  t.notThrows(() => refuseUnlessOff(migration))
})
