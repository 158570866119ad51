import { execFileSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { adoptCopies } from '../../../lib/kubernetes/evacuation/adopt.ts'
import { bringBack, evacuate } from '../../../lib/kubernetes/evacuation/evacuate.ts'
import { evacuationLabel, lookJob, lookPath } from '../../../lib/kubernetes/evacuation/job.ts'
import { removeCopies } from '../../../lib/kubernetes/evacuation/remove.ts'
import { writtenSince } from '../../../lib/kubernetes/evacuation/since.ts'
import { OperatorError } from '../../../lib/migration/errors.ts'
import type { Journal } from '../../../lib/migration/journal.ts'
import { readTree, type Tree } from '../../../lib/rehearsal/volume-trees.ts'
import { temporaryFolder } from '../../temporary-folder.ts'
import { until } from '../bare-cluster.ts'
import { testMigration } from '../test-migration.ts'
import { claimsAreBound, type SmallHomelab, smallHomelab } from './small-homelab.ts'
import { writeWickedFiles } from './wicked-files.ts'

const control = temporaryFolder('rsync-control')
const server = 'fatboy.home.arpa'
const wicked = ['data-0', 'data-1', 'data-2', 'data-3', 'data-4', 'data-5'].map((name) => `wicked/${name}`)
const others = [
  'full/small',
  'full/large',
  'full/filling',
  'busy/once',
  'busy/always',
  'fragile/data',
  'fragile/whole',
  'shown/data',
  'lost/journal',
  'since/same',
  'since/written',
  'since/looked-at',
]
let homelab: SmallHomelab

/** What rsync does, with what a test does before and after it, and a log of who runs when. */
const rsync = `#!/bin/sh
echo begin >> ${control}/log
if [ -f ${control}/before ]; then . ${control}/before; fi
/usr/bin/rsync "$@"
code=$?
if [ -f ${control}/after ]; then . ${control}/after; fi
echo end >> ${control}/log
exit $code
`

test.before(async () => {
  mkdirSync(join(control, 'bin'))
  writeFileSync(join(control, 'bin/rsync'), rsync, { mode: 0o755 })
  const volumes = [
    ...wicked.map((claim, index) => ({ claim, local: index === 0 })),
    ...others.map((claim) => ({ claim })),
  ]
  homelab = await smallHomelab(volumes, { PATH: `${control}/bin:${process.env.PATH}` })
  await claimsAreBound(homelab.api)
})

test.beforeEach(() => {
  for (const file of ['before', 'after', 'log']) rmSync(join(control, file), { force: true })
  for (const claim of others) mkdirSync(homelab.folder(claim), { recursive: true })
})

test.after.always(() => homelab?.stop())

/** A migration that only knows of the volumes of one namespace. */
function migrationOf(namespace: string, journal?: Journal) {
  const accepted = [...wicked, ...others].filter((claim) => !claim.startsWith(`${namespace}/`))
  const settings = {
    EVACUATE_TO: 'fatboy-nfs-appdata',
    EVACUATE_PER_NODE: '2',
    EVACUATE_TIMEOUT: '420',
    ACCEPT_DATA_LOSS: [...accepted, `${namespace}/evacuated-*`].join(','),
  }
  if (journal) return testMigration(settings, { journal })
  const begun = testMigration(settings)
  begun.journal.append({ type: 'phase', phase: 'drain', state: 'begin' })
  return begun
}

const copyOf = (claim: string) => join(homelab.nas, server, 'mnt/fatboy/appdata', claim.replace('/', '-evacuated-'))
const treesOf = (claims: readonly string[]): Tree[] => claims.map((claim) => readTree(homelab.folder(claim)))
const begun = (journal: Journal) =>
  journal.records.flatMap((record) =>
    record.type === 'change' && record.what.startsWith('Copy volume') ? [record.what] : [],
  )

/** How many ran at once at most. */
function mostAtOnce(): number {
  let now = 0
  let most = 0
  for (const line of readFileSync(join(control, 'log'), 'utf8').trim().split('\n')) {
    now += line === 'begin' ? 1 : -1
    most = Math.max(most, now)
  }
  return most
}

/** What rsync itself would still change, attributes and access lists included. */
function differences(from: string, to: string): string {
  const options = ['-aHAXn', '--checksum', '--delete', '--itemize-changes', '--numeric-ids']
  return execFileSync('rsync', [...options, `${from}/`, `${to}/`], { encoding: 'utf8' })
}

test.serial(
  'whatever a file system holds comes back onto an empty disk as it was, two volumes at a time',
  async (t) => {
    for (const claim of wicked) {
      writeWickedFiles(homelab.folder(claim))
      execFileSync('setfattr', ['-n', 'user.origin', '-v', claim, join(homelab.folder(claim), 'setuid')])
      execFileSync('setfacl', ['-m', 'u:12345:r', join(homelab.folder(claim), '.hidden')])
      writeFileSync(join(homelab.folder(claim), 'claim'), claim)
    }
    writeFileSync(join(control, 'before'), 'sleep 1\n')
    const old = wicked.map((claim) => homelab.folder(claim))
    const before = treesOf(wicked)
    const { migration, journal, lines } = migrationOf('wicked')
    t.deepEqual(await evacuate(migration, homelab.api), { copied: wicked.length })
    t.is(mostAtOnce(), 2)
    t.true(
      lines.some((line) => line.includes('wicked/data-0: 9 files')),
      lines.join('\n'),
    )
    t.deepEqual(await bringBack(migration, homelab.api), { broughtBack: 0 }, 'while the machine was not replaced')
    t.deepEqual(treesOf(wicked), before, 'what was copied from is as it was')

    homelab.replaceDisk()
    journal.append({ type: 'phase', phase: 'provision', state: 'done' })
    rmSync(join(control, 'before'))
    t.deepEqual(await bringBack(migration, homelab.api), { broughtBack: wicked.length })
    t.deepEqual(treesOf(wicked), before)
    for (const [index, claim] of wicked.entries()) t.is(differences(old[index] ?? '', homelab.folder(claim)), '', claim)
    t.deepEqual(await bringBack(migration, homelab.api), { broughtBack: 0 }, 'only once')
  },
)

test.serial('a volume that was written to, and a copy that was, are left as they are, by name', async (t) => {
  const { migration, journal } = migrationOf('wicked')
  await evacuate(migration, homelab.api)
  journal.append({ type: 'phase', phase: 'provision', state: 'done' })
  const [written = '', damaged = ''] = wicked
  appendFileSync(join(homelab.folder(written), 'claim'), ', and newer data')
  rmSync(homelab.folder(damaged), { recursive: true })
  appendFileSync(join(copyOf(damaged), 'data/claim'), ', and rot')
  const error = await t.throwsAsync(bringBack(migration, homelab.api))
  t.regex(error.message, /2 of 6 volumes were not copied/)
  t.regex(error.message, /wicked\/data-0: The volume is neither empty nor as it was evacuated: \.\/claim/)
  t.regex(error.message, /wicked\/data-1: The copy is not any more what its sums say/)
  t.is(readFileSync(join(homelab.folder(written), 'claim'), 'utf8'), `${written}, and newer data`)
})

test.serial('copies are removed on request, and only those that were brought back', async (t) => {
  const { migration, lines } = migrationOf('wicked')
  t.deepEqual(await removeCopies(migration, homelab.api), { removed: 4 })
  t.is(lines.filter((line) => /wicked\/evacuated-data-[01] was not brought back: it is kept/.test(line)).length, 2)
})

test.serial(
  'of volumes that were brought to the new disk those are named that hold something else since',
  async (t) => {
    const [same = '', written = '', lookedAt = ''] = others.filter((claim) => claim.startsWith('since/'))
    for (const claim of [same, written, lookedAt]) writeFileSync(join(homelab.folder(claim), 'data'), claim)
    const { migration, journal } = migrationOf('since')
    await evacuate(migration, homelab.api)
    journal.append({ type: 'phase', phase: 'provision', state: 'done' })
    for (const claim of [same, written, lookedAt]) rmSync(join(homelab.folder(claim), 'data'))
    t.deepEqual(await bringBack(migration, homelab.api), { broughtBack: 3 })
    t.deepEqual(await writtenSince(migration, homelab.api), [
      { claim: lookedAt, change: null },
      { claim: same, change: null },
      { claim: written, change: null },
    ])

    // What a call that was killed has left knows nothing of what came after it.
    const place = {
      nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['talos00'] }] }],
    }
    const earlier = { namespace: 'since', claim: 'looked-at' }
    const job = lookJob(earlier, place, { image: 'x', round: 'an earlier one' })
    await homelab.api.create('/apis/batch/v1/namespaces/since/jobs', job)
    await until('the Job of the earlier call is done', async () => {
      const { status } = await homelab.api.get<{ metadata: { name: string }; status?: { succeeded?: number } }>(
        lookPath(earlier),
      )
      return status?.succeeded === 1
    })
    for (const claim of [written, lookedAt]) appendFileSync(join(homelab.folder(claim), 'data'), ', and more')
    execFileSync('touch', ['-d', '2020-01-01', join(homelab.folder(same), 'data')])
    const standings = await writtenSince(migration, homelab.api)
    t.deepEqual(
      standings.map(({ claim }) => claim),
      [lookedAt, same, written],
    )
    const [ofLookedAt, ofSame, ofWritten] = standings
    t.is(ofSame?.change, null, 'what only was opened holds the same')
    for (const one of [ofLookedAt, ofWritten]) t.regex(one?.change ?? '', /^it holds 1 files, .*, and held 1 files/)
    t.deepEqual(
      await homelab.api.list('/apis/batch/v1/namespaces/since/jobs', { labelSelector: `${evacuationLabel}=look` }),
      [],
    )
    const dry = testMigration({}, { journal, dryRun: true })
    t.is((await writtenSince(dry.migration, homelab.api)).filter(({ change }) => change !== null).length, 3)
  },
)

test.serial(
  'a full file server fails the volumes that do not fit, by name; with room, the same again copies the rest',
  async (t) => {
    const place = join(homelab.nas, server)
    mkdirSync(place, { recursive: true })
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', place])
    t.teardown(() => void execFileSync('umount', ['--lazy', place]))
    writeFileSync(join(homelab.folder('full/small'), 'data'), Buffer.alloc(200_000, 1))
    writeFileSync(join(homelab.folder('full/large'), 'data'), Buffer.alloc(6_000_000, 2))
    writeFileSync(join(homelab.folder('full/filling'), 'data'), Buffer.alloc(300_000, 3))
    // Whoever else writes to the file server does so at the worst moment for the one volume, and when the small one is settled.
    writeFileSync(
      join(control, 'before'),
      `if [ "$(head -c 1 /mnt/local/data | od -An -tu1 | tr -d ' ')" = 3 ]; then
  while [ ! -f ${join(copyOf('full/small'), 'evacuation/sha256')} ]; do sleep 0.1; done
  dd if=/dev/zero of=/mnt/copy/filler bs=64k 2> /dev/null
fi
`,
    )
    const before = treesOf(['full/small', 'full/large', 'full/filling'])
    const { migration, journal } = migrationOf('full')
    const error = await t.throwsAsync(evacuate(migration, homelab.api), { instanceOf: OperatorError })
    t.regex(error.message, /2 of 3 volumes were not copied/, `${error.means}`)
    t.regex(error.message, /full\/large: It needs \d+ KiB, and the target has \d+/)
    t.regex(error.message, /full\/filling: The target became full: .*No space left/s)

    rmSync(join(control, 'before'))
    rmSync(join(copyOf('full/filling'), 'filler'))
    execFileSync('mount', ['-o', 'remount,size=32m', place])
    const first = begun(journal).length
    await evacuate(migrationOf('full', journal).migration, homelab.api)
    t.false(
      begun(journal)
        .slice(first)
        .some((what) => what.includes('full/small')),
    )
    t.deepEqual(treesOf(['full/small', 'full/large', 'full/filling']), before)
    for (const claim of ['full/small', 'full/large', 'full/filling']) {
      t.is(differences(homelab.folder(claim), join(copyOf(claim), 'data')), '', claim)
    }
  },
)

test.serial('when the journal is lost, the copies say themselves what they are of', async (t) => {
  writeFileSync(join(homelab.folder('lost/journal'), 'data'), 'all there is')
  const before = treesOf(['lost/journal'])
  await evacuate(migrationOf('lost').migration, homelab.api)
  rmSync(homelab.folder('lost/journal'), { recursive: true })
  const { migration } = migrationOf('lost')
  t.deepEqual(await bringBack(migration, homelab.api), { broughtBack: 0 }, 'this journal knows of nothing')
  await adoptCopies(migration, homelab.api)
  t.deepEqual(await bringBack(migration, homelab.api), { broughtBack: 1 })
  t.deepEqual(treesOf(['lost/journal']), before)
})

test.serial(
  'a file that changes between copy and compare is found, copied again, and named when it does not stop',
  async (t) => {
    const folders = ['busy/once', 'busy/always'].map((claim) => homelab.folder(claim))
    for (const folder of folders) writeFileSync(join(folder, 'data'), 'as it was')
    const [once = '', always = ''] = folders
    // Of the same size and time, so that only its contents tell.
    writeFileSync(join(control, 'once'), '')
    writeFileSync(
      join(control, 'after'),
      `
change() { printf '%s' "$2" > "$1/data"; touch -d 2020-01-01 "$1/data"; }
case $* in *--dry-run*) ;; *)
  if [ "$(stat -c %i /mnt/local/data)" = "$(stat -c %i ${once}/data)" ] && [ -e ${control}/once ]; then
    rm ${control}/once; change ${once} 'as it got'
  fi
  if [ "$(stat -c %i /mnt/local/data)" = "$(stat -c %i ${always}/data)" ]; then change ${always} "$(head -c 9 /proc/sys/kernel/random/uuid)"; fi
esac
`,
    )
    for (const folder of folders) execFileSync('touch', ['-d', '2020-01-01', join(folder, 'data')])
    const { migration } = migrationOf('busy')
    const error = await t.throwsAsync(evacuate(migration, homelab.api))
    t.regex(error.message, /busy\/always: It changes while it is copied, or the target keeps something else: \.\/data/)
    t.notRegex(error.message, /busy\/once/)
    t.is(readFileSync(join(copyOf('busy/once'), 'data/data'), 'utf8'), 'as it got')
  },
)

test.serial('a Job that fails half-way is tried again, and goes on with what it had', async (t) => {
  const folder = homelab.folder('fragile/data')
  for (let i = 0; i < 20; i++) writeFileSync(join(folder, `segment-${i}`), Buffer.alloc(1000 * i, i))
  writeFileSync(join(homelab.folder('fragile/whole'), 'data'), 'x')
  writeFileSync(join(control, 'fails'), '')
  writeFileSync(
    join(control, 'before'),
    `
if [ -e /mnt/local/segment-1 ] && [ -e ${control}/fails ]; then
  rm ${control}/fails; cp /mnt/local/segment-1* /mnt/copy/data/; echo half > /mnt/copy/data/.segment-2.XyZzY; exit 30
fi
`,
  )
  const { migration } = migrationOf('fragile')
  t.deepEqual(await evacuate(migration, homelab.api), { copied: 2 })
  t.false(existsSync(join(control, 'fails')))
  const pods = await homelab.api.list('/api/v1/namespaces/fragile/pods', { labelSelector: evacuationLabel })
  t.is(pods.length, 3)
  t.is(differences(folder, join(copyOf('fragile/data'), 'data')), '')
})

test.serial('while a volume is copied, what rsync says of its progress is shown', async (t) => {
  const port = await serveLogs(t)
  const addresses = [{ type: 'InternalIP', address: '127.0.0.1' }]
  await homelab.api.mergePatch('/api/v1/nodes/talos00/status', {
    status: { addresses, daemonEndpoints: { kubeletEndpoint: { Port: port } } },
  })
  writeFileSync(join(homelab.folder('shown/data'), 'data'), Buffer.alloc(3_000_000, 7))
  writeFileSync(join(control, 'after'), 'sleep 3\n')
  const { migration, lines } = migrationOf('shown')
  await evacuate(migration, homelab.api)
  t.true(
    lines.some((line) => /shown\/data 3,000,000 100% \S+B\/s/.test(line)),
    lines.join('\n'),
  )
})

/** A kubelet's port for logs, where the API server fetches them. */
async function serveLogs(t: ExecutionContext): Promise<number> {
  const [key, cert] = [join(control, 'key'), join(control, 'cert')]
  const subject = ['-subj', '/CN=talos00', '-keyout', key, '-out', cert]
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', ...subject], {
    stdio: 'ignore',
  })
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
    const [, , namespace = '', pod = ''] = (request.url ?? '').split('?')[0]?.split('/') ?? []
    response.end(homelab.pods.log(namespace, pod).trimEnd().split('\n').at(-1))
  })
  t.teardown(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
