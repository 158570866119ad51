import { DescribeSecurityGroupsCommand, type IpPermission } from '@aws-sdk/client-ec2'
import test from 'ava'
import { OperatorError } from '../../../lib/migration/errors.ts'
import { takeBackAws } from '../../../lib/network/aws/change.ts'
import { connectEc2 } from '../../../lib/network/aws/ec2.ts'
import { awsMoves, repeerAws } from '../../../lib/network/aws/repeer.ts'
import { testMigration } from '../../kubernetes/test-migration.ts'
import { ec2Server, makePrefixList, makeSite, type Site } from './ec2-server.ts'

let server: string
const stops: (() => unknown)[] = []

test.before(async () => {
  server = await ec2Server({ teardown: (stop) => void stops.push(stop) })
})

test.after.always(() => Promise.all(stops.map((stop) => stop())))

const moved = { AWS_OLD_ADDRESS: '203.0.113.7', AWS_NEW_ADDRESS: '203.0.113.99', AWS_REGION: 'eu-central-1' }

/** The rules of a group as text, in an order that does not matter. */
async function rulesOf({ client }: Site, group: string, direction: 'in' | 'out' = 'in'): Promise<string[]> {
  const { SecurityGroups = [] } = await client.send(new DescribeSecurityGroupsCommand({ GroupIds: [group] }))
  const { IpPermissions = [], IpPermissionsEgress = [] } = SecurityGroups[0] ?? {}
  const text = ({ IpProtocol, FromPort, ToPort, IpRanges = [] }: IpPermission) =>
    IpRanges.map(({ CidrIp, Description }) =>
      `${IpProtocol} ${FromPort}-${ToPort} ${CidrIp} ${Description ?? ''}`.trim(),
    )
  return (direction === 'in' ? IpPermissions : IpPermissionsEgress).flatMap(text).sort()
}

const before = [
  'icmp -1--1 203.0.113.70/32',
  'tcp 6000-6100 203.0.113.7/32',
  'udp 4242-4242 198.51.100.9/32',
  'udp 4242-4242 203.0.113.7/32 home',
]
const after = [
  'icmp -1--1 203.0.113.70/32',
  'tcp 6000-6100 203.0.113.99/32',
  'udp 4242-4242 198.51.100.9/32',
  'udp 4242-4242 203.0.113.99/32 home',
]

test.serial('without AWS_OLD_ADDRESS one sentence says that AWS is not looked at, and nobody connects', async (t) => {
  const { migration, lines } = testMigration()
  await repeerAws(migration, () => Promise.reject(new Error('connected')))
  t.deepEqual(lines, ['info AWS_OLD_ADDRESS is not set: AWS is not looked at.'])
})

test.serial('which addresses are looked for: the one that AWS knows, and those of the machine that change', (t) => {
  const { settings } = testMigration({
    ...moved,
    NEW_TALOS_NODE: '192.168.1.210',
    NEW_MESH_ADDRESS: '10.42.9.9',
  }).migration
  t.deepEqual(awsMoves(settings), [
    { from: '203.0.113.7', to: '203.0.113.99' },
    { from: '192.168.1.54', to: '192.168.1.210' },
    { from: '10.42.1.1', to: '10.42.9.9' },
  ])
  const same = testMigration({ AWS_OLD_ADDRESS: '192.168.1.54', NEW_TALOS_NODE: '192.168.1.210' }).migration.settings
  t.deepEqual(awsMoves(same), [{ from: '192.168.1.54', to: '192.168.1.210' }])
})

test.serial('what holds the old address is listed, and nothing is changed without --aws', async (t) => {
  const site = await makeSite(t, server)
  const { migration, lines, journal } = testMigration(moved)
  await repeerAws(migration, async () => site.ec2)
  const table = lines.find((line) => line.startsWith('table')) ?? ''
  t.regex(table, /udp 4242 from 203\.0\.113\.7\/32/)
  t.regex(table, /tcp 6000-6100 from 203\.0\.113\.7\/32/)
  t.regex(table, /tcp 443 to 203\.0\.113\.7\/32/)
  t.regex(table, /tcp 22 from 203\.0\.113\.0\/28","a network: yours to decide/)
  t.false(table.includes('203.0.113.70'))
  t.true(lines.includes('warn To change them: task migrate:repeer -- --aws, or with ALSO_CHANGE=aws'))
  t.deepEqual(journal.changes(), [])
  t.deepEqual(await rulesOf(site, site.gateway), before)

  const dry = testMigration(moved, { flags: { aws: true }, dryRun: true })
  await repeerAws(dry.migration, async () => site.ec2)
  t.is(dry.lines.filter((line) => line.startsWith('change put')).length, 3)
  t.deepEqual(await rulesOf(site, site.gateway), before)
})

test.serial(
  'with --aws each rule gets its like for the new address before the old one goes, and all is taken back',
  async (t) => {
    const site = await makeSite(t, server)
    const { migration, journal } = testMigration(moved, { flags: { aws: true } })
    await repeerAws(migration, async () => site.ec2)
    t.deepEqual(await rulesOf(site, site.gateway), after)
    t.true((await rulesOf(site, site.gateway, 'out')).includes('tcp 443-443 203.0.113.99/32 home'))
    t.deepEqual(await rulesOf(site, site.others), ['tcp 22-22 203.0.113.0/28'])
    const kinds = journal.changes().map(({ undo }) => undo?.kind)
    t.deepEqual(kinds, [...Array(3).fill('aws-rule-added'), ...Array(3).fill('aws-rule-removed')])

    const ec2 = await connectEc2({ awsRegion: 'eu-central-1' })
    const again = testMigration(moved, { flags: { aws: true } })
    await repeerAws(again.migration, async () => ec2)
    t.deepEqual(again.journal.changes(), [])
    t.false(again.lines.some((line) => line.includes('--aws')))

    const undoing = await connectEc2({ awsRegion: 'eu-central-1' })
    for (const change of journal.changes().toReversed()) t.is(await takeBackAws(undoing, change), 'undone')
    t.deepEqual(await rulesOf(site, site.gateway), before)
    for (const change of journal.changes().toReversed()) t.is(await takeBackAws(undoing, change), 'already')
    undoing.close()
  },
)

test.serial('a rule that was there before is not made again, and so not taken back', async (t) => {
  const site = await makeSite(t, server)
  const [first] = (await site.ec2.rules()).filter(
    ({ cidr, protocol }) => cidr === '203.0.113.7/32' && protocol === 'udp',
  )
  if (!first) return t.fail()
  await site.ec2.authorize({ ...first, cidr: '203.0.113.99/32' })
  const { migration, journal } = testMigration(moved, { flags: { aws: true } })
  await repeerAws(migration, async () => site.ec2)
  t.is(journal.changes({ kind: 'aws-rule-added' }).length, 2)
  t.deepEqual(await rulesOf(site, site.gateway), after)
})

test.serial('a run that was killed between the new rule and the old one goes on', async (t) => {
  const site = await makeSite(t, server)
  const { journal } = testMigration()
  const killed = { ...site.ec2, revoke: () => Promise.reject(new Error('killed')), close: () => undefined }
  const run = (ec2: typeof site.ec2) =>
    repeerAws(testMigration(moved, { flags: { aws: true }, journal }).migration, async () => ec2)
  await t.throwsAsync(run(killed), { message: 'killed' })
  t.deepEqual(
    await rulesOf(site, site.gateway),
    [...after, ...before.filter((rule) => rule.includes('113.7/32'))].sort(),
  )
  await run({ ...site.ec2, close: () => undefined })
  t.deepEqual(await rulesOf(site, site.gateway), after)
})

test.serial(
  'prefix lists that hold the old address are listed, changed on request in one go, and put back',
  async (t) => {
    const site = await makeSite(t, server)
    const list = await makePrefixList(site, 'homes', [
      { Cidr: '203.0.113.7/32', Description: 'home' },
      { Cidr: '203.0.113.70/32' },
      { Cidr: '203.0.113.0/29' },
    ])
    const there = await makePrefixList(site, 'both', [{ Cidr: '203.0.113.7/32' }, { Cidr: '203.0.113.99/32' }])
    const open = { ...site.ec2, close: () => undefined }
    const listed = testMigration(moved)
    await repeerAws(listed.migration, async () => open)
    const table = listed.lines.find((line) => line.startsWith('table')) ?? ''
    t.true(table.includes(`"prefix list ${list} (homes)","203.0.113.7/32","203.0.113.99"`), table)
    t.true(table.includes(`"prefix list ${list} (homes)","203.0.113.0/29","a network: yours to decide"`))
    t.deepEqual(listed.journal.changes(), [])

    const { migration, journal } = testMigration({ ...moved, ALSO_CHANGE: 'aws' })
    await repeerAws(migration, async () => open)
    t.deepEqual(await entriesOf(site, list), ['203.0.113.0/29', '203.0.113.70/32', '203.0.113.99/32 home'])
    t.deepEqual(await entriesOf(site, there), ['203.0.113.99/32'])
    const changes = journal.changes({ kind: 'aws-prefix-list' })
    t.is(changes.length, 2)
    for (const change of changes) t.is(await takeBackAws(open, change), 'undone')
    t.deepEqual(await entriesOf(site, list), ['203.0.113.0/29', '203.0.113.7/32 home', '203.0.113.70/32'])
    t.deepEqual(await entriesOf(site, there), ['203.0.113.7/32', '203.0.113.99/32'], 'what was there before us stays')
    for (const change of changes) t.is(await takeBackAws(open, change), 'already')

    await repeerAws(testMigration({ ...moved, ALSO_CHANGE: 'aws' }).migration, async () => open)
    const entry = { list, called: 'homes', cidr: '203.0.113.99/32', description: null }
    await open.modifyPrefixList(list, [], [entry])
    const [ofHomes] = changes.filter(({ what }) => what.includes(list))
    if (!ofHomes) return t.fail()
    t.is(await takeBackAws(open, ofHomes), 'conflict: 203.0.113.99/32 is not in it any more')
  },
)

/** The entries of a prefix list as text, in an order that does not matter. */
async function entriesOf({ ec2 }: Site, list: string): Promise<string[]> {
  const entries = (await ec2.prefixEntries()).filter((each) => each.list === list)
  return entries.map(({ cidr, description }) => `${cidr} ${description ?? ''}`.trim()).sort()
}

test.serial('an Elastic IP that leads to the old private address leads to the new one, and back', async (t) => {
  const site = await makeSite(t, server)
  const settings = { AWS_OLD_ADDRESS: '10.0.0.54', AWS_REGION: 'eu-central-1' }
  const open = { ...site.ec2, close: () => undefined }
  const run = (more: Record<string, string>) => {
    const test = testMigration({ ...settings, ...more }, { flags: { aws: true } })
    return repeerAws(test.migration, async () => open).then(() => test)
  }
  const unknown = await t.throwsAsync(run({}), { instanceOf: OperatorError })
  t.is(unknown.what, 'What takes the place of 10.0.0.54 in AWS is not known.')
  const nowhere = await t.throwsAsync(run({ AWS_NEW_ADDRESS: '10.0.0.99' }), { instanceOf: OperatorError })
  t.is(nowhere.what, 'No network interface in eu-central-1 has the address 10.0.0.99.')

  const { journal } = await run({ AWS_NEW_ADDRESS: '10.0.0.60' })
  const leadsTo = async () => (await site.ec2.elasticIps()).map(({ privateAddress }) => privateAddress)
  t.deepEqual(await leadsTo(), ['10.0.0.60'])
  const [change] = journal.changes({ kind: 'aws-elastic-ip' })
  if (!change) return t.fail()
  t.is(await takeBackAws(site.ec2, change), 'undone')
  t.deepEqual(await leadsTo(), ['10.0.0.54'])
  t.is(await takeBackAws(site.ec2, change), 'already')
})

test.serial('the old address as an Elastic IP of AWS is listed, and is not ours to change', async (t) => {
  const site = await makeSite(t, server)
  const [elasticIp] = await site.ec2.elasticIps()
  const settings = { AWS_OLD_ADDRESS: elasticIp?.publicAddress ?? '', AWS_REGION: 'eu-central-1' }
  const { migration, lines, journal } = testMigration(settings, { flags: { aws: true } })
  await repeerAws(migration, async () => site.ec2)
  t.true(lines.some((line) => line.includes('is the old address itself')))
  t.deepEqual(journal.changes(), [])
})

test.serial('no credentials, no server and no region are each said with the way out', async (t) => {
  const look = async (environment: Record<string, string | undefined>) => {
    const kept = { ...process.env }
    Object.assign(process.env, environment)
    for (const [name, value] of Object.entries(environment)) if (value === undefined) delete process.env[name]
    const { migration } = testMigration({ ...moved, AWS_REGION: environment.AWS_REGION ?? 'eu-central-1' })
    try {
      return await t.throwsAsync(
        repeerAws(migration, () => connectEc2(migration.settings)),
        { instanceOf: OperatorError },
      )
    } finally {
      process.env = kept
    }
  }
  const nobody = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined, AWS_CONFIG_FILE: '/dev/null' }
  const anonymous = await look({ ...nobody, AWS_SHARED_CREDENTIALS_FILE: '/dev/null' })
  t.regex(anonymous?.next ?? '', /AWS_PROFILE/)
  const gone = await look({ AWS_ENDPOINT_URL_EC2: 'http://127.0.0.1:1' })
  t.regex(gone?.next ?? '', /Check AWS_REGION and the connection\. Without AWS_OLD_ADDRESS, AWS is left out\./)
})
