import test from 'ava'
import { OperatorError } from '../../lib/migration/errors.ts'
import { verifyNew } from '../../lib/talos/bootstrap.ts'
import { unlessRebuilding } from '../../lib/talos/without-snapshot.ts'
import { testMigration } from '../kubernetes/test-migration.ts'

const fails = async (): Promise<string> => {
  throw new OperatorError('etcd raises NOSPACE.', { next: 'Cure it.' })
}

test('a snapshot that cannot be had stops a recovery from it, and warns before a rebuild from Git', async (t) => {
  await t.throwsAsync(unlessRebuilding(testMigration().migration, fails), { message: 'etcd raises NOSPACE.' })
  const { migration, lines } = testMigration({ RECOVERY: 'gitops' })
  t.is(await unlessRebuilding(migration, fails), undefined)
  t.regex(lines.join('\n'), /etcd raises NOSPACE\. RECOVERY=gitops goes on without/)
  t.is(await unlessRebuilding(migration, async () => 'taken'), 'taken')
})

test('a bug is never taken for a snapshot that cannot be had', async (t) => {
  const { migration } = testMigration({ RECOVERY: 'gitops' })
  const bug = unlessRebuilding(migration, async () => {
    throw new TypeError('x is undefined')
  })
  await t.throwsAsync(bug, { instanceOf: TypeError })
})

test('a rebuild goes on in the cluster that it has begun, and in no other', (t) => {
  t.notThrows(() => verifyNew('127.0.1.54', 'old', undefined, 'new'))
  t.notThrows(() => verifyNew('127.0.1.54', undefined, 'new', 'new'))
  t.throws(() => verifyNew('127.0.1.54', 'old', undefined, 'old'), { message: /is the old one/ })
  t.throws(() => verifyNew('127.0.1.54', 'old', 'new', 'other'), { message: /not the one that this run has begun/ })
})
