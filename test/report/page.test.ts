import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { ReportFacts } from '../../lib/report/facts.ts'
import { outagesIn } from '../../lib/report/outage.ts'
import { renderReport } from '../../lib/report/page.ts'
import { readStory } from '../../lib/report/story.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { change, outcome, phase, recordsAt, run, step, wait } from './records.ts'

let browser: Browser

test.before(async () => {
  const arguments_ = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-sync']
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: arguments_ })
})

test.after.always(() => browser?.close())

const evil = `<script>document.title = 'owned'</script> & "quotes"`
const longName = `media/${'a-claim-with-a-name-that-does-not-end-'.repeat(4)}0`

function facts(more: Partial<ReportFacts> = {}): ReportFacts {
  const records = recordsAt(
    [0, run],
    [1, phase('shutdown', 'begin')],
    [2, step('shutdown', 'Shut the old machine down', 'begin')],
    [3, change(1, 'shutdown', `Shut down ${evil}`, 'power')],
    [4, outcome(1, 'done')],
    [5, step('shutdown', 'Shut the old machine down', 'done')],
    [6, phase('shutdown', 'done')],
    [100, phase('provision', 'begin')],
    [160, wait('provision', '', 'the Kubernetes API is ready at https://192.0.2.1:6443', 30)],
    [200, phase('provision', 'failed', `kube-apiserver: password=hunter2hunter2 ${evil}`)],
  )
  const story = readStory(records)
  if (!story) throw new Error('the records have no run')
  const finding = { check: 'Pods are ready', subject: 'Deployment media/plex', evidence: evil, wayOut: 'kubectl logs' }
  return {
    clusterName: 'catalyst-cluster',
    story,
    outages: outagesIn(records),
    figures: [{ what: 'Nodes ready', before: '3 of 3', after: '2 of 3' }],
    volumes: [
      { claim: longName, size: '10Gi', storageClass: 'local-path', usedBy: [], fate: 'lost', kept: false },
      { claim: 'media/plex', size: '50Gi', storageClass: 'nfs', usedBy: [], fate: 'preserved', kept: true },
    ],
    preflight: null,
    verdict: {
      at: '2026-11-24T23:10:00Z',
      lists: [{ title: 'Newly broken', bad: true, findings: [finding] }],
      fine: ['Nodes are ready'],
    },
    evidence: [['Snapshot hash (etcdutl)', 'a0b1c2d3']],
    rehearsed: { at: '2026-11-20', phases: [{ name: 'shutdown', seconds: 6.5 }], outage: 13.7 },
    ...more,
  }
}

async function open(t: { teardown(fn: () => unknown): void }, options: BrowserContextOptions = {}) {
  const file = join(temporaryFolder('report'), 'report.html')
  writeFileSync(file, await renderReport(facts()))
  const context = await browser.newContext(options)
  t.teardown(() => context.close())
  const page = await context.newPage()
  const asked: string[] = []
  const complaints: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  page.on('console', (message) => complaints.push(message.text()))
  await page.goto(`file://${file}`)
  return { page, asked, complaints }
}

const widths = (page: Page) =>
  page.evaluate<[number, number]>('[document.documentElement.scrollWidth, window.innerWidth]')
const background = (page: Page) => page.evaluate<string>('getComputedStyle(document.body).backgroundColor')

test('the page asks for nothing but itself, runs nothing, and shows every text as text', async (t) => {
  const { page, asked, complaints } = await open(t)
  t.deepEqual(
    asked.map((url) => new URL(url).protocol),
    ['file:'],
  )
  t.deepEqual(complaints, [])
  t.is(await page.title(), 'Migration of catalyst-cluster, RUN')
  t.is(await page.locator('script').count(), 0)
  t.true((await page.locator('#checks').innerText()).includes(evil))
})

test('what looks like a credential is not shown', async (t) => {
  const html = await renderReport(facts())
  t.false(html.includes('hunter2'))
  t.true(html.includes('password=[redacted]'))
})

test('headline, timeline, outage, changes, volumes, checks and rehearsal are all there', async (t) => {
  const { page } = await open(t)
  t.is(await page.locator('h1 .outcome').innerText(), 'something is broken')
  t.regex(await page.locator('.key').innerText(), /23:00:03 – 23:02:40 \(2m 37s\)/)
  t.deepEqual(await page.locator('details.attempt summary b').allInnerTexts(), ['shutdown', 'provision'])
  t.deepEqual(await page.locator('#volumes tbody tr td:first-child').allInnerTexts(), [longName, 'media/plex'])
  t.deepEqual(await page.locator('#rehearsal tbody tr').first().locator('td').allInnerTexts(), [
    'shutdown',
    '6.5s',
    '5.0s',
  ])
  t.false(await page.locator('#changes td').first().isVisible())
  await page.locator('#changes summary').first().click()
  t.true(await page.locator('#changes td').first().isVisible())
})

test('light and dark follow the reader', async (t) => {
  const light = await open(t, { colorScheme: 'light' })
  const dark = await open(t, { colorScheme: 'dark' })
  t.is(await background(light.page), 'rgb(251, 250, 248)')
  t.is(await background(dark.page), 'rgb(20, 24, 29)')
})

test('on a phone nothing is wider than the screen; a wide table scrolls by itself', async (t) => {
  const { page } = await open(t, { viewport: { width: 360, height: 740 } })
  const [content, screen] = await widths(page)
  t.is(content, screen)
})

test('on paper everything is open', async (t) => {
  const { page } = await open(t)
  await page.emulateMedia({ media: 'print' })
  t.true(await page.locator('#changes td').first().isVisible())
  t.true((await page.pdf()).length > 10_000)
})

test('a run that is under way, was rolled back, or is done has its headline', async (t) => {
  const headline = async (...entries: Parameters<typeof recordsAt>) => {
    const story = readStory(recordsAt([0, run], ...entries))
    if (!story) throw new Error('no run')
    const html = await renderReport(facts({ story, outages: [], verdict: null, volumes: [] }))
    return /class="outcome \w+">([^<]*)</.exec(html)?.[1]
  }
  t.is(await headline([1, phase('backup', 'begin')], [2, phase('backup', 'done')]), 'under way, backup done')
  t.is(await headline([1, phase('drain', 'begin')]), 'drain unfinished')
  t.is(await headline([1, phase('rollback', 'begin')], [2, phase('rollback', 'done')]), 'rolled back')
  t.is(
    await headline([1, phase('verify', 'begin')], [2, phase('verify', 'done')], [3, { type: 'end' }]),
    'migrated and verified',
  )
})
