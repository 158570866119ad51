import { readFileSync } from 'node:fs'
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import { announceCommand, listenToCalls } from '../../lib/migration/calls.ts'
import { systemClock } from '../../lib/migration/clock.ts'
import { createConsole } from '../../lib/migration/console.ts'
import { runToItsEnd } from '../../lib/migration/executables.ts'
import type { Migration } from '../../lib/migration/migration.ts'
import { runPhase } from '../../lib/migration/phase.ts'
import { environmentIn, newFolder } from './run-in-folder.ts'

async function serve(t: ExecutionContext): Promise<string> {
  const server = createServer((_, response) => response.writeHead(404).end())
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The origin of a server that was there a moment ago. */
async function goneServer(): Promise<string> {
  const server = createServer()
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  await new Promise((closed) => server.close(closed))
  return `http://127.0.0.1:${port}`
}

function ask(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, (response) => response.resume().once('end', resolve)).once('error', reject)
  })
}

test.serial('every command and every request is heard of, until nobody listens any more', async (t) => {
  const origin = await serve(t)
  const gone = await goneServer()
  const heard: string[] = []
  const stop = listenToCalls((call) => heard.push(call))
  await ask(`${origin}/api/v1/nodes?limit=1`)
  await ask(`${gone}/nobody`).catch(() => undefined)
  await runToItsEnd('true', ['--a-flag', 'two words', "it's"], 10)
  stop()
  await ask(`${origin}/unheard`)
  announceCommand('unheard', [])
  t.deepEqual(heard, [
    `GET ${origin}/api/v1/nodes?limit=1: 404`,
    `GET ${gone}/nobody: ECONNREFUSED`,
    "true --a-flag 'two words' 'it'\\''s'",
  ])
})

/** Runs a phase at a console of its own, piped. @returns what was said, and the log of the run */
async function say(
  body: (migration: Migration) => Promise<void>,
  ...args: string[]
): Promise<{ said: string; log: string }> {
  const folder = newFolder()
  const out = new PassThrough()
  const flags = Object.fromEntries(args.map((flag) => [flag.slice(2), true]))
  const surroundings = {
    ...{ args, environment: environmentIn(folder), clock: systemClock },
    console: createConsole({ ...flags, out, environment: {} }),
    exit: (code: number): never => {
      throw new Error(`exit ${code}`)
    },
    prompt: { secret: async () => undefined, confirm: async () => undefined },
  }
  await runPhase({ name: 'backup', body, flags: {} }, surroundings)
  out.end()
  return { said: await text(out), log: readFileSync(join(folder, 'output/current/log.txt'), 'utf8') }
}

async function body(migration: Migration): Promise<void> {
  await migration.step('Look', async () => {
    announceCommand('/usr/bin/talosctl', ['get', 'members'])
    announceCommand('curl', ['https://me:hunter2hunter2@192.0.2.7/'])
    migration.console.info('a word')
    await migration.change('write it', { apply: async () => undefined })
  })
  migration.console.warn('a warning')
}

test.serial('--verbose shows each command, without what is secret in it; otherwise only the log has it', async (t) => {
  const verbose = await say(body, '--verbose')
  for (const shown of [verbose.said, verbose.log, (await say(body)).log]) {
    t.regex(shown, / > talosctl get members\n/)
    t.regex(shown, / > curl https:\/\/\[redacted\]@192\.0\.2\.7\/\n/)
    t.regex(shown, / {3}write it\n/)
  }
  t.notRegex((await say(body)).said, /talosctl|curl/)
})

test.serial('--quiet leaves warnings, errors and how it ended; the log has everything all the same', async (t) => {
  const { said, log } = await say(body, '--quiet')
  t.regex(said, /^ ! a warning\n== backup: done \(\d+\.\ds\)\n$/)
  t.regex(log, /a word\n[\s\S]*✔ Look/)
})

test.serial('--json tells of calls with --verbose only, one event a line', async (t) => {
  const events = (said: string) =>
    said
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string; what?: string })
  const calls = (said: string) =>
    events(said)
      .filter(({ event }) => event === 'call')
      .map(({ what }) => what)
  t.deepEqual(calls((await say(body, '--json')).said), [])
  t.is(calls((await say(body, '--json', '--verbose')).said)[0], 'talosctl get members')
})
