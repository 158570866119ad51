import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import test from 'ava'
import { Liqoctl } from '../../../lib/network/liqo/liqoctl.ts'
import { undoPeer } from '../../../lib/network/liqo/peer.ts'
import { findBinary } from '../../../lib/rehearsal/binaries.ts'
import { flags } from '../../../lib/rehearsal/liqo/flags.ts'
import { writeStandIn } from '../../../lib/rehearsal/liqo/liqoctl.ts'
import repeer from '../../../scripts/repeer.ts'
import unpeer from '../../../scripts/unpeer.ts'
import { until } from '../../kubernetes/bare-cluster.ts'
import { testMigration } from '../../kubernetes/test-migration.ts'
import { temporaryFolder } from '../../temporary-folder.ts'
import { Run, sidesOf, TwoClusters } from './two-clusters.ts'

/** The real one where this machine has it; npm run binaries -- liqoctl builds it. */
const real = await findBinary('liqoctl')
const commands = ['peer', 'unpeer'] as const

/** What liqoctl 1.0.1 itself has answered to COMMAND --help. */
function recordedHelp(command: string): string {
  return readFileSync(new URL(`../../fixtures/liqoctl-1.0.1/${command}.txt`, import.meta.url), 'utf8')
}

/** The names that a help text lists, less what every command of liqoctl has for a person at a terminal. */
function flagsIn(help: string): string[] {
  const names = [...help.matchAll(/^ +(?:-\w, )?--([a-z-]+)/gm)].map(([, name = '']) => name)
  return names.filter((name) => name !== 'help' && !/^(global|skip-confirm)/.test(name)).sort()
}

for (const command of commands) {
  test(`the stand-in for liqoctl ${command} takes the flags that liqoctl has, and no others`, (t) => {
    const recorded = flagsIn(recordedHelp(command))
    t.true(recorded.length > 10, 'a text without flags would prove nothing')
    t.deepEqual(Object.keys(flags[command]).sort(), recorded)
    if (real !== null) {
      const help = execFileSync(real, [command, '--help'], { encoding: 'utf8' })
      t.deepEqual(flagsIn(help), recorded, 'what was recorded is what the real one says')
    }
    for (const liqoctl of [writeStandIn(temporaryFolder('liqoctl')), ...(real === null ? [] : [real])]) {
      const refused = t.throws(() => execFileSync(liqoctl, [command, '--no-such-flag'], { stdio: 'pipe' }))
      t.regex(String(refused?.message), /no-such-flag/)
    }
  })
}

test('a peering in both directions is torn down one after the other, and made again as it was, by the real liqoctl where there is one', async (t) => {
  const clusters = await TwoClusters.start(real ?? writeStandIn(temporaryFolder('liqoctl')))
  t.teardown(() => clusters.stop())
  await clusters.peer('--cpu', '8', '--gw-server-service-port', '51900')
  await clusters.peerBack('--cpu', '2', '--gw-server-service-port', '51900')
  const before = await bothDirections(clusters)
  t.deepEqual(before.roles, ['ConsumerAndProvider', 'ConsumerAndProvider'])
  t.deepEqual(
    before.slices.map(({ where, resources }) => [where, resources]),
    [
      ['home', { cpu: '8' }],
      ['aws', { cpu: '2' }],
    ],
  )

  const run = new Run(clusters)
  const down = await run.phase(unpeer)
  t.is(down.code, 0, down.text)
  t.regex(down.text, /Unpeer catalyst \(consumer\) from aws-gpu \(provider\)/)
  t.regex(down.text, /Unpeer aws-gpu \(consumer\) from catalyst \(provider\)/)
  t.deepEqual(await bothDirections(clusters), { roles: [], slices: [], gateways: [], virtualNodes: [] })

  const again = await run.phase(repeer)
  t.is(again.code, 0, again.text)
  await until('Liqo says so on both sides', async () => {
    const { roles } = await bothDirections(clusters)
    return roles.join() === before.roles.join()
  })
  t.deepEqual(await bothDirections(clusters), before)

  // What a rollback does.
  const { migration } = testMigration({ LIQO_TIMEOUT: '240' })
  const mesh = { ...(await sidesOf(clusters)), liqoctl: await Liqoctl.find(clusters.liqoctl) }
  const made = run.journal().changes({ kind: 'liqo-peer' }).toReversed()
  t.is(made.length, 2)
  for (const change of made) t.is(await undoPeer(migration, mesh, change), 'undone')
  await until('nothing is left', async () => (await bothDirections(clusters)).roles.length === 0, 120)
})

/** What a peering in both directions is made of, as far as a person had a say in it, from home and from the other cluster. */
async function bothDirections({ home, aws }: TwoClusters) {
  const sides = { home, aws }
  const roles: unknown[] = []
  const slices: { where: string; name: string; resources: unknown }[] = []
  const gateways: unknown[] = []
  const virtualNodes: string[] = []
  for (const [where, { api }] of Object.entries(sides)) {
    const clusters = await api.list('/apis/core.liqo.io/v1beta1/foreignclusters')
    roles.push(...clusters.map(({ status }) => (status as { role?: string } | undefined)?.role))
    const all = await api.list('/apis/authentication.liqo.io/v1beta1/resourceslices')
    const own = all.filter(({ metadata }) => metadata.labels?.['liqo.io/replication'] === 'true')
    slices.push(
      ...own.map(({ metadata, spec }) => {
        return { where, name: metadata.name, resources: (spec as { resources?: unknown }).resources }
      }),
    )
    const servers = await api.list('/apis/networking.liqo.io/v1beta1/gatewayservers')
    gateways.push(...servers.map(({ spec }) => [where, (spec as { endpoint: unknown }).endpoint]))
    const nodes = await api.list('/api/v1/nodes', { labelSelector: 'liqo.io/type=virtual-node' })
    virtualNodes.push(...nodes.map(({ metadata }) => `${where}: ${metadata.name}`))
  }
  return { roles, slices, gateways, virtualNodes }
}
