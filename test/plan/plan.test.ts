import test from 'ava'
import { type Browser, chromium } from 'playwright-core'
import { OperatorError } from '../../lib/migration/errors.ts'
import { questions } from '../../lib/migration/questions.ts'
import type { Inventory } from '../../lib/plan/inventory.ts'
import { renderPlan } from '../../lib/plan/page.ts'
import { planOf } from '../../lib/plan/plan.ts'
import { refuseOpen } from '../../lib/plan/refuse.ts'
import { testMigration } from '../kubernetes/test-migration.ts'

const at = new Date('2026-11-24T20:00:00Z')
const answered = { NEW_HARDWARE: 'a small board', MAINTENANCE_WINDOW: '22:00-02:00' }

function settingsWith(more: Record<string, string> = {}) {
  return testMigration({ ...answered, ...more }).migration.settings
}

function volume(
  claim: string,
  fate: 'lost' | 'preserved' | 'unknown',
  more: Partial<Inventory['volumes'][number]> = {},
) {
  const size = { size: '10Gi', bytes: 10 * 1024 ** 3 }
  const kind = { volume: `pvc-${claim}`, storageClass: fate === 'preserved' ? 'truenas-nfs' : 'local-path' }
  return {
    claim,
    ...kind,
    ...size,
    where: '/somewhere',
    fate,
    acceptedBy: null,
    usedBy: [`Deployment ${claim}`],
    ...more,
  }
}

function found(more: Partial<Inventory> = {}): Inventory {
  return {
    nodes: [],
    namespaces: 27,
    objects: 1051,
    volumes: [volume('media/plex', 'preserved'), volume('monitoring/data', 'lost'), volume('odd/one', 'unknown')],
    stateful: [],
    outlook: { evicted: [], nodes: ['talos00'] } as never,
    flux: 12,
    applications: 3,
    hosts: [],
    liqo: true,
    nebula: true,
    scratch: ['media/plex-0', 'media/b', 'media/c', 'media/d'],
    gitSources: ['https://git.example/homelab'],
    secretStores: [
      {
        store: 'ClusterSecretStore onepassword',
        provider: 'onepassword',
        server: null,
        vaults: ['home'],
        credentials: [],
      },
    ],
    ...more,
  }
}

const planned = (more: Record<string, string> = {}, inventory = found()) =>
  planOf(inventory, settingsWith(more), [], at)
const named = (fates: readonly { what: string; open: boolean }[]) =>
  fates.map(({ what, open }) => `${open ? '! ' : ''}${what}`)

test('what is lost and what is preserved stands in two tables, by name and size, the undecided first', (t) => {
  const plan = planned()
  t.deepEqual(named(plan.lost), ['! monitoring/data', '! odd/one', 'emptyDir volumes and what is in memory'])
  t.deepEqual(named(plan.preserved), ['etcd', 'media/plex', 'Git: https://git.example/homelab', 'onepassword: home'])
  t.deepEqual(
    plan.lost.map(({ size }) => size),
    ['10Gi', '10Gi', '4 pods'],
  )
  t.regex(plan.lost[0]?.note ?? '', /on the disk of talos00 .*EVACUATE_TO/)
})

test('what is copied is preserved, what is given up is lost without a question, and a rebuild from Git loses etcd', (t) => {
  const copied = planned({ EVACUATE_TO: 'truenas-nfs' })
  t.true(named(copied.preserved).includes('monitoring/data'))
  const accepted = planned({}, found({ volumes: [volume('monitoring/data', 'lost', { acceptedBy: 'monitoring/*' })] }))
  t.deepEqual(named(accepted.lost).slice(0, 1), ['monitoring/data'])
  const rebuilt = planned({ RECOVERY: 'gitops' })
  t.is(rebuilt.lost[0]?.what, 'etcd')
  t.false(named(rebuilt.preserved).includes('etcd'))
})

test('in scenario C the machine stays, and nothing is lost', (t) => {
  t.deepEqual(planned({ SCENARIO: 'C', JOIN_NODES: 'talos01=192.0.2.55' }).lost, [])
})

test('each of the five questions is answered by its setting, and open without it', (t) => {
  const open = (more: Record<string, string>, liqo = true) =>
    questions(testMigration(more).migration.settings, { liqo, nodes: 1 })
      .filter(({ answer }) => answer === null)
      .map(({ how }) => /^[A-Z_]+/.exec(how)?.[0])
  t.deepEqual(open({}), ['NEW_HARDWARE', 'MAINTENANCE_WINDOW'])
  t.deepEqual(open(answered), [])
  const moving = { ...answered, SCENARIO: 'B' }
  t.deepEqual(open(moving), ['SCENARIO', 'LIQO_TEARDOWN'])
  t.deepEqual(open({ ...moving, NEW_TALOS_NODE: '192.0.2.9' }, false), [])
  t.deepEqual(open({ ...moving, NEW_TALOS_NODE: '192.0.2.9', LIQO_TEARDOWN: 'no' }), [])
  t.deepEqual(open({ ...answered, SCENARIO: 'C' }), ['SCENARIO'])
  t.deepEqual(open({ ...answered, SCENARIO: 'C', JOIN_NODES: 'talos01=192.0.2.55' }), [])
})

test('a plan with an open question is refused, naming it and the setting that answers it', (t) => {
  const settings = settingsWith({ SCENARIO: 'B', NEW_TALOS_NODE: '192.0.2.9' })
  const all = questions(settings, { liqo: true, nodes: 1 })
  const error = t.throws(() => refuseOpen(all, settings), { instanceOf: OperatorError })
  t.regex(error?.what ?? '', /^One question .*\n {2}Should Liqo peering be torn down first\? \(LIQO_TEARDOWN=yes or no/)
  t.notThrows(() => refuseOpen(questions(settingsWith(), { liqo: true, nodes: 1 }), settings))
})

test('a window that is shorter than the evening may be is not long enough', (t) => {
  t.true(planned({ MAINTENANCE_WINDOW: '22:00-06:00' }).window?.longEnough)
  const short = planned({ MAINTENANCE_WINDOW: '2026-12-05 23:30-00:15' }).window
  t.is(short?.seconds, 45 * 60)
  t.false(short?.longEnough)
})

let browser: Browser

test.before(async () => {
  const arguments_ = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-sync']
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: arguments_ })
})

test.after.always(() => browser?.close())

test('the page to print has the order of the evening with its commands, both tables and the questions, and asks for nothing', async (t) => {
  const page = await browser.newPage({ viewport: { width: 360, height: 740 } })
  t.teardown(() => page.close())
  const asked: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  await page.setContent(await renderPlan(planned({ NEW_HARDWARE: '<script>document.title = "owned"</script>' })))
  t.deepEqual(asked, [])
  t.is(await page.title(), 'Plan for catalyst-cluster')
  const order = await page.locator('#order tbody tr td:first-child').allInnerTexts()
  t.deepEqual(
    order.map((text) => text.replace('☐ ', '')),
    [
      'task migrate:preflight',
      'task migrate:backup',
      'task migrate:drain',
      'task migrate:shutdown',
      'swap of the hardware',
      'task migrate:provision',
      'task migrate:resume',
      'task migrate:verify',
    ],
  )
  t.deepEqual(await page.locator('#lost td b.bad').allInnerTexts(), ['monitoring/data', 'odd/one'])
  t.regex(await page.locator('#questions').innerText(), /<script>document/)
  const [content, screen] = await page.evaluate<[number, number]>(
    '[document.documentElement.scrollWidth, window.innerWidth]',
  )
  t.is(content, screen)
  await page.emulateMedia({ media: 'print' })
  t.true((await page.pdf()).length > 10_000)
})
