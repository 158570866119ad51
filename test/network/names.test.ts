import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { parseAddress } from '../../lib/network/addresses.ts'
import { namesInHosts } from '../../lib/network/hosts-file.ts'
import {
  namesOf,
  namesUnder,
  type Resolver,
  resolveBefore,
  resolveNames,
  resolverWith,
  showNames,
  systemResolver,
} from '../../lib/network/names.ts'
import { testMigration } from '../kubernetes/test-migration.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const moves = [{ from: parseAddress('192.168.1.54', 'test'), to: parseAddress('192.168.1.60', 'test') }]
const resolverOf =
  (known: Record<string, string[]>): Resolver =>
  async (name) => {
    const found = known[name]
    if (!found) throw new Error('getaddrinfo ENOTFOUND')
    return found
  }

test('names are those of the node and below it, each once', (t) => {
  const hosts = namesInHosts('192.168.1.54 talos00 Grafana.talos00 # x.talos00\n10.0.0.1 nottalos00 talos00.lan\n')
  const ingress = ['argocd.talos00', 'grafana.talos00.', '*.talos00', 'plex.example.org']
  t.deepEqual(namesUnder('talos00', [...hosts.keys(), ...ingress]), ['argocd.talos00', 'grafana.talos00', 'talos00'])
})

test('each name is shown with its address before and after; one that leads to the old one still is warned of', async (t) => {
  const { migration, lines } = testMigration()
  const names = ['argocd.talos00', 'grafana.talos00', 'talos00']
  const old = ['192.168.1.54']
  const before = await resolveNames(names, resolverOf({ talos00: old, 'grafana.talos00': old }))
  const after = await resolveNames(names, resolverOf({ talos00: ['192.168.1.60'], 'grafana.talos00': old }))
  t.deepEqual(showNames(migration, before, after, moves), ['grafana.talos00'])
  t.true(
    lines.includes(
      'table Names ["NAME","BEFORE","AFTER"] [["argocd.talos00","–","–"],["grafana.talos00","192.168.1.54","192.168.1.54"],["talos00","192.168.1.54","192.168.1.60"]]',
    ),
    lines.join('\n'),
  )
  const warnings = lines.filter((line) => line.startsWith('warn'))
  t.is(warnings.length, 1)
  t.regex(warnings[0] ?? '', /^warn grafana\.talos00 is 192\.168\.1\.54 .* still.* change it to 192\.168\.1\.60 there/)
})

test('names that all lead to the new address are no reason for a warning', (t) => {
  const { migration, lines } = testMigration()
  t.deepEqual(showNames(migration, { talos00: [] }, { talos00: ['192.168.1.60', '192.168.1.154'] }, moves), [])
  t.false(lines.some((line) => line.startsWith('warn')))
})

test('the system is asked, with another hosts file before it where that is set', async (t) => {
  t.true((await systemResolver('localhost')).some((address) => address === '127.0.0.1' || address === '::1'))
  const hosts = join(temporaryFolder('hosts'), 'hosts')
  writeFileSync(hosts, '127.9.9.9 Talos00.invalid\n')
  const resolver = resolverWith(hosts)
  t.deepEqual(await resolver('talos00.invalid'), ['127.9.9.9'])
  t.deepEqual(
    await resolveNames(['localhost', 'nobody.invalid'], async (name) => (name === 'localhost' ? resolver(name) : [])),
    {
      localhost: await systemResolver('localhost'),
      'nobody.invalid': [],
    },
  )
})

test('what the run was told first stays what was before, however often it is asked', async (t) => {
  const { migration, journal } = testMigration()
  await resolveBefore(migration, ['talos00'], resolverOf({ talos00: ['192.168.1.54'] }))
  const again = testMigration({}, { journal }).migration
  const now = resolverOf({ talos00: ['192.168.1.60'], 'new.talos00': ['192.168.1.60'] })
  const before = await resolveBefore(again, ['talos00', 'new.talos00'], now)
  t.deepEqual(before, { talos00: ['192.168.1.54'], 'new.talos00': ['192.168.1.60'] })
})

test('the node itself is asked for, and the names of the hosts file and of the ingress', async (t) => {
  const hostsFile = join(temporaryFolder('hosts'), 'hosts')
  t.deepEqual(await namesOf({ nodeName: 'talos00', hostsFile }, []), ['talos00'])
  writeFileSync(hostsFile, '192.168.1.54 grafana.talos00 other\n')
  const names = await namesOf({ nodeName: 'talos00', hostsFile }, ['argocd.talos00'])
  t.deepEqual(names, ['argocd.talos00', 'grafana.talos00', 'talos00'])
})
