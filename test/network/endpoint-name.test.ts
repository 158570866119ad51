import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { parseAddress } from '../../lib/network/addresses.ts'
import { leadEndpoint } from '../../lib/network/endpoint-name.ts'
import type { Sudo } from '../../lib/network/rewrite-hosts.ts'
import { testMigration } from '../kubernetes/test-migration.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const move = { from: parseAddress('192.168.1.54', 'test'), to: parseAddress('192.168.1.57', 'test') }
const never: Sudo = async () => {
  throw new Error('nobody may become root here')
}

function practice() {
  const path = join(temporaryFolder('hosts'), 'hosts')
  writeFileSync(path, '127.0.0.1 localhost\n192.168.1.54 k8s.home talos00\n192.168.1.100 vip.home\n')
  return { path, ...testMigration({ HOSTS_FILE: path }, { runFolder: temporaryFolder('run') }) }
}

test('a name that the hosts file leads to the old machine leads to the new one before it is waited for', async (t) => {
  const { path, migration, journal } = practice()
  await leadEndpoint(migration, never, 'https://K8s.home:6443', move)
  t.is(readFileSync(path, 'utf8'), '127.0.0.1 localhost\n192.168.1.57 k8s.home talos00\n192.168.1.100 vip.home\n')
  t.is(journal.changes({ kind: 'hosts-file' }).length, 1)
  await leadEndpoint(migration, never, 'https://k8s.home:6443', move)
  t.is(journal.changes().length, 1)
})

test('an address, the name of a virtual address, and a name that others lead change nothing', async (t) => {
  const { path, migration, journal, lines } = practice()
  const before = readFileSync(path, 'utf8')
  for (const url of [
    'https://192.168.1.57:6443',
    'https://[fd00::57]:6443',
    'https://vip.home:6443',
    'https://dns.home:6443',
  ])
    await leadEndpoint(migration, never, url, move)
  t.is(readFileSync(path, 'utf8'), before)
  t.deepEqual(journal.changes(), [])
  t.deepEqual(lines, [])
})
