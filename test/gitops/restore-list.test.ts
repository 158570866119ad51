import test from 'ava'
import { parseRestoreList, restoreListText, verifyRestoreList } from '../../lib/gitops/restore-list.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { applied, object, rebuildOf } from './objects.ts'

const root = object('Kustomization', 'flux-system/flux-system', {
  spec: {},
  metadata: applied('flux-system/flux-system'),
})

test('the list that is written is the list that is read', async (t) => {
  const rebuild = await rebuildOf(root, object('Secret', 'media/token'), object('ClusterRole', 'system:by-hand'))
  const text = restoreListText(rebuild)
  const { names } = parseRestoreList(text, 'list.txt')
  t.deepEqual([...names].sort(), rebuild.restored.map(({ called }) => called).sort())
  t.regex(text, /^# --- secrets \(1\)\nsecrets media\/token {2}# nothing in Git holds it: it was made by hand$/m)
  t.true(text.indexOf('secrets media/token') < text.indexOf('GitOps itself'), 'GitOps comes last')
})

test('comments, empty lines and line ends of Windows are borne', (t) => {
  const { names } = parseRestoreList(
    '# a\r\n\r\nsecrets  media/token\t# why\r\n#secrets media/out\r\npersistentvolumes pvc-1\r\n',
    'l',
  )
  t.deepEqual([...names], ['secrets media/token', 'persistentvolumes pvc-1'])
})

test('every line that is none is named with its number, and nothing is read', (t) => {
  const error = t.throws(
    () => parseRestoreList('secrets media/token\nsecrets\n\nrm -rf /\nSecret media/x\n', '/o/list.txt'),
    {
      instanceOf: OperatorError,
    },
  )
  t.is(error?.exitCode, 2)
  t.regex(
    error?.message ?? '',
    /^\/o\/list\.txt cannot be read: line 2 \(secrets\), line 4 \(rm -rf \/\), line 5 \(Secret media\/x\)\.$/,
  )
  t.regex(error?.next ?? '', /Correct the lines/)
})

test('a name that the backup does not have is refused, with the one that may be meant', (t) => {
  const list = parseRestoreList('deployment media/plex\nsecrets media/token\n', 'list.txt')
  const known = new Set(['deployments.apps media/plex', 'secrets media/token'])
  const error = t.throws(() => verifyRestoreList(list, known, '/nas/backup'), { instanceOf: OperatorError })
  t.regex(error?.message ?? '', /deployment media\/plex \(there is: deployments\.apps media\/plex\)/)
  t.false(error?.message.includes('secrets media/token'))
  t.notThrows(() => verifyRestoreList(parseRestoreList('secrets media/token', 'list.txt'), known, '/nas/backup'))
})
