import { existsSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { runChain } from '../../lib/migration/chain.ts'
import { systemClock } from '../../lib/migration/clock.ts'
import { notify } from '../../lib/migration/notify.ts'
import { testMigration } from '../kubernetes/test-migration.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { environmentIn, listeningConsole, newFolder, runIn } from './run-in-folder.ts'

interface Heard {
  path: string
  headers: IncomingMessage['headers']
  body: string
}

/** A webhook on loopback. @param status what it answers; 0: nothing at all */
async function webhook(t: ExecutionContext, status = 200): Promise<{ origin: string; heard: Heard[] }> {
  const heard: Heard[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    heard.push({ path: request.url ?? '', headers: request.headers, body })
    if (status !== 0) response.writeHead(status).end()
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { origin: `127.0.0.1:${(server.address() as AddressInfo).port}`, heard }
}

/** A port of loopback that nobody listens at: it was free a moment ago. */
async function nobodysPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  await new Promise((closed) => server.close(closed))
  return port
}

const notice = { title: 'home: it is your turn', text: 'Swap the hardware' }
const none = { notifyCommand: undefined, notifyUrl: undefined }

async function told(
  channels: Partial<typeof none | { notifyCommand: string; notifyUrl: string }>,
  patienceMs?: number,
) {
  const warnings: string[] = []
  await notify({ ...none, ...channels }, notice, { warn: (text) => warnings.push(text) }, patienceMs)
  return warnings
}

test('a topic of ntfy gets the text as it is and the title in a header, with whatever letters', async (t) => {
  const { origin, heard } = await webhook(t)
  t.deepEqual(await told({ notifyUrl: `http://me:pass%20word@${origin}/my-topic` }), [])
  const [{ path = '', headers = {}, body = '' } = {}] = heard
  t.deepEqual([path, headers.title, body], ['/my-topic', notice.title, notice.text])
  t.is(headers.authorization, `Basic ${Buffer.from('me:pass word').toString('base64')}`)
  await notify({ ...none, notifyUrl: `http://${origin}/my-topic` }, { title: 'Küche', text: 'x' }, { warn: t.fail })
  t.is(heard[1]?.headers.title, '=?UTF-8?B?S8O8Y2hl?=')
})

test('an incoming webhook, as Slack has it, gets JSON', async (t) => {
  const { origin, heard } = await webhook(t)
  t.deepEqual(await told({ notifyUrl: `http://${origin}/services/T0/B0/x` }), [])
  t.is(heard[0]?.headers['content-type'], 'application/json')
  t.deepEqual(JSON.parse(heard[0]?.body ?? ''), { text: '*home: it is your turn*\nSwap the hardware' })
})

test('a command has the title and the text in its environment, and the text as its input', async (t) => {
  const file = join(temporaryFolder('notify'), 'told')
  t.deepEqual(await told({ notifyCommand: `{ echo "$NOTIFY_TITLE|$NOTIFY_TEXT"; cat; } > '${file}'` }), [])
  t.is(readFileSync(file, 'utf8'), 'home: it is your turn|Swap the hardware\nSwap the hardware\n')
})

test('what looks like a credential is not told', async (t) => {
  const { origin, heard } = await webhook(t)
  const text = 'The key is AGE-SECRET-KEY-1QQQQ, password=hunter2hunter2'
  await notify({ ...none, notifyUrl: `http://${origin}/topic` }, { title: 'x', text }, { warn: t.fail })
  t.is(heard[0]?.body, 'The key is AGE-SECRET-KEY-[redacted], password=[redacted]')
})

test('a webhook that refuses, or is not there, is said in one line without its URL, and fails nothing', async (t) => {
  const { origin } = await webhook(t, 403)
  const secret = `http://${origin}/services/T0/secret`
  t.deepEqual(await told({ notifyUrl: secret }), [
    `You were not told of it elsewhere: NOTIFY_URL (${origin}) answered 403`,
  ])
  const nobody = await nobodysPort()
  const [gone = ''] = await told({ notifyUrl: `http://127.0.0.1:${nobody}/services/T0/secret` })
  t.regex(gone, /^You were not told of it elsewhere: NOTIFY_URL \(127\.0\.0\.1:\d+\): connect ECONNREFUSED/)
  t.false(gone.includes('secret'))
})

test('whoever does not answer, or does not end, is given up at the deadline, with whatever it has started', async (t) => {
  const { origin } = await webhook(t, 0)
  const file = join(temporaryFolder('notify'), 'pid')
  const command = `sleep 600 & echo $! > '${file}'; wait`
  const warnings = await told({ notifyUrl: `http://${origin}/topic`, notifyCommand: command }, 1500)
  t.deepEqual(warnings, [
    'You were not told of it elsewhere: NOTIFY_CMD took longer than 1.5s',
    `You were not told of it elsewhere: NOTIFY_URL (${origin}): no answer within 1.5s`,
  ])
  t.true(await isGone(Number(readFileSync(file, 'utf8'))))
})

async function isGone(pid: number): Promise<boolean> {
  for (let looks = 0; looks < 500; looks++) {
    // A process that has ended may stay in the list until somebody asks for its end.
    const state = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0] : 'X'
    if (state === 'X' || state === 'Z') return true
    await systemClock.sleep(20)
  }
  return false
}

test('the end of a phase that changes something is told, failed or not; a dry run and a look are told to nobody', async (t) => {
  const folder = newFolder()
  const file = join(folder, 'told')
  const telling = { NOTIFY_CMD: `echo "$NOTIFY_TITLE" >> '${file}'` }
  await runIn(folder, 'backup', async () => undefined, ['--dry-run'], telling)
  await runIn(folder, 'status', async () => undefined, [], telling)
  t.false(existsSync(file))
  await runIn(folder, 'backup', async () => undefined, [], telling)
  const failing = async () => {
    throw new Error('no')
  }
  await runIn(folder, 'drain', failing, [], telling)
  t.is(
    readFileSync(file, 'utf8'),
    'catalyst-cluster: migrate:backup done\ncatalyst-cluster: migrate:drain FAILED (exit code 1)\n',
  )
})

test('a chain tells of its pauses and of its end, not of every phase', async (t) => {
  const folder = newFolder()
  const file = join(folder, 'told')
  const environment = { ...environmentIn(folder), NOTIFY_CMD: `echo "$NOTIFY_TITLE: $NOTIFY_TEXT" >> '${file}'` }
  const link = (name: string) => ({ name, body: async () => undefined, flags: {} })
  const pause = { pauseBefore: 'drain', inShort: 'Swap it', tell: () => undefined }
  const surroundings = {
    ...{ args: ['--dry-run'], environment, clock: systemClock, console: listeningConsole() },
    exit: (code: number): never => {
      throw new Error(`exit ${code}`)
    },
    prompt: { secret: async () => undefined, confirm: async () => undefined },
  }
  t.is(await runChain('run', [link('backup'), pause, link('drain')], surroundings), 0)
  t.false(existsSync(file))
  t.is(await runChain('run', [link('backup'), pause, link('drain')], { ...surroundings, args: [] }), 0)
  t.is(
    readFileSync(file, 'utf8'),
    'catalyst-cluster: it is your turn: Swap it\ncatalyst-cluster: migrate:run done: What to type next: task migrate:status\n',
  )
})

test('a question that nobody answers is told elsewhere; one that is answered at once is not', async (t) => {
  const file = join(temporaryFolder('notify'), 'told')
  const more = { NOTIFY_CMD: `echo "$NOTIFY_TEXT" >> '${file}'` }
  const atOnce = testMigration(more, { confirm: async () => true })
  t.true(await atOnce.migration.prompt.confirm('Shall it be?'))
  t.false(existsSync(file))
  const late = testMigration(more, {
    clock: { ...systemClock, sleep: async () => undefined },
    confirm: async () => {
      while (!existsSync(file)) await systemClock.sleep(20)
      return false
    },
  })
  t.false(await late.migration.prompt.confirm('Shall it be?'))
  t.is(readFileSync(file, 'utf8'), 'Shall it be?\n')
})
