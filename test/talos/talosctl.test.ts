import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import * as z from 'zod'
import { OperatorError } from '../../lib/migration/errors.ts'
import { parseAddress } from '../../lib/network/addresses.ts'
import { parseTable, takeSnapshot } from '../../lib/talos/etcd.ts'
import { Talosctl } from '../../lib/talos/talosctl.ts'
import { patiently, TalosctlError, understand } from '../../lib/talos/talosctl-error.ts'

const address = parseAddress('192.0.2.1', 'test')
const call = { command: 'etcd members', address, talosconfig: '/c/talosconfig' }

/** A talosctl that says its version and otherwise does as the test says. */
async function withTalosctl(
  body: string,
  use: (settings: { talosctl: string; talosVersion: string; talosconfig: string }, folder: string) => Promise<void>,
  version = 'v1.11.1',
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'talosctl-test-'))
  const talosctl = join(folder, 'talosctl')
  const talosconfig = join(folder, 'talosconfig')
  try {
    const script = `#!/bin/sh\nif [ "$1" = version ] && [ "$2" = --client ]; then printf 'Client:\\nTalos ${version}\\n'; exit; fi\necho "$@" >> ${folder}/arguments\n${body}\n`
    await writeFile(talosctl, script)
    await chmod(talosctl, 0o755)
    await writeFile(talosconfig, 'context: x\n')
    await use({ talosctl, talosVersion: 'v1.11.1', talosconfig }, folder)
  } finally {
    await rm(folder, { recursive: true, maxRetries: 10 })
  }
}

test('a talosctl of the same minor version is taken, whatever its patch', async (t) => {
  const opens = async (settings: Parameters<typeof Talosctl.open>[0]) => {
    t.is((await Talosctl.open(settings)).version, 'v1.11.5')
  }
  await withTalosctl('', opens, 'v1.11.5')
})

test('a talosctl of another minor version is refused with both versions and what to install', async (t) => {
  await withTalosctl(
    '',
    async (settings) => {
      const error = await t.throwsAsync(Talosctl.open(settings), {
        instanceOf: OperatorError,
        message: /v1\.12\.0.*v1\.11\.1/,
      })
      t.regex(error?.next ?? '', /v1\.11\.1.*TALOSCTL/)
    },
    'v1.12.0',
  )
})

test('an absent talosctl is refused, by setting and by PATH', async (t) => {
  const settings = { talosctl: undefined, talosVersion: 'v1.11.1', talosconfig: '/dev/null' }
  await t.throwsAsync(Talosctl.open(settings, { PATH: '/nowhere' }), {
    instanceOf: OperatorError,
    message: /no talosctl on PATH/,
  })
  await t.throwsAsync(Talosctl.open({ ...settings, talosctl: '/nowhere/talosctl' }), {
    message: /\/nowhere\/talosctl \(TALOSCTL\)/,
  })
})

test('a file that does not say a version is no talosctl', async (t) => {
  await t.throwsAsync(Talosctl.open({ talosctl: '/bin/true', talosVersion: 'v1.11.1', talosconfig: '/dev/null' }), {
    instanceOf: OperatorError,
    message: /does not say its version/,
  })
})

test('talosctl is found on PATH, and the talosconfig must be there', async (t) => {
  await withTalosctl('', async (settings, folder) => {
    const found = await Talosctl.open({ ...settings, talosctl: undefined }, { PATH: `/nowhere:${folder}` })
    t.is(found.binary, settings.talosctl)
    await t.throwsAsync(Talosctl.open({ ...settings, talosconfig: join(folder, 'no') }), { message: /no talosconfig/ })
  })
})

test('a call names talosconfig, endpoint and node; an insecure one only the node', async (t) => {
  await withTalosctl('', async (settings, folder) => {
    const talosctl = await Talosctl.open(settings)
    await talosctl.run({ address }, ['etcd', 'members'])
    await talosctl.run({ address, insecure: true }, ['get', 'disks'])
    const [first, second] = (await readFile(join(folder, 'arguments'), 'utf8')).split('\n')
    t.is(first, `etcd members --talosconfig ${settings.talosconfig} --endpoints 192.0.2.1 --nodes 192.0.2.1`)
    t.is(second, 'get disks --insecure --nodes 192.0.2.1')
  })
})

test('what goes in through standard input can be opened as /dev/stdin, and is not among the arguments', async (t) => {
  await withTalosctl('cat /dev/stdin', async (settings, folder) => {
    const talosctl = await Talosctl.open(settings)
    const { stdout } = await talosctl.local(['validate', '--config', '/dev/stdin'], { input: 'sensitive: true\n' })
    t.is(stdout, 'sensitive: true\n')
    t.false((await readFile(join(folder, 'arguments'), 'utf8')).includes('sensitive'))
  })
})

test('a call that hangs is ended at its deadline, with all its children, and counts as silence', async (t) => {
  await withTalosctl('sleep 60 & echo $! > "$(dirname "$0")/child"; wait', async (settings, folder) => {
    const talosctl = await Talosctl.open(settings)
    const error = await t.throwsAsync(talosctl.run({ address }, ['get', 'disks'], { deadline: 0.5 }), {
      instanceOf: TalosctlError,
    })
    t.like(error, { reason: 'silent', transient: true })
    const child = (await readFile(join(folder, 'child'), 'utf8')).trim()
    const state = await readFile(`/proc/${child}/stat`, 'utf8').catch(() => 'gone')
    t.true(state === 'gone' || / Z /.test(state))
  })
})

test('resources are read from the objects that talosctl prints one after the other', async (t) => {
  const resource = (id: string) =>
    `{\n    "metadata": {\n        "id": "${id}",\n        "namespace": "n"\n    },\n    "spec": {\n        "size": 3\n    }\n}`
  await withTalosctl(`cat <<'END'\n${resource('a')}\n${resource('b')}\nEND`, async (settings) => {
    const talosctl = await Talosctl.open(settings)
    const found = await talosctl.resources({ address }, 'disks', z.object({ size: z.number() }))
    t.deepEqual(found, [
      { id: 'a', spec: { size: 3 } },
      { id: 'b', spec: { size: 3 } },
    ])
  })
})

// Standard error of the real talosctl v1.11.1 in these situations.
const said = {
  refused:
    'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp 127.0.23.1:50000: connect: connection refused"',
  'client-certificate-needed':
    'rpc error: code = Unavailable desc = connection error: desc = "error reading server preface: remote error: tls: certificate required"',
  certificate:
    'rpc error: code = Unavailable desc = connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority"',
  talosconfig: 'error constructing client: failed to determine endpoints',
  unimplemented: 'rpc error: code = Unimplemented desc = API is not implemented in this mode',
  denied: 'rpc error: code = PermissionDenied desc = not authorized',
  'already-exists':
    'error executing bootstrap: rpc error: code = AlreadyExists desc = etcd data directory is not empty',
  'not-ready': 'error executing bootstrap: rpc error: code = FailedPrecondition desc = bootstrap is not available yet',
  silent: 'error getting members: rpc error: code = DeadlineExceeded desc = context deadline exceeded',
  'broke-off': 'rpc error: code = Unavailable desc = error reading from server: EOF',
} as const

for (const [reason, stderr] of Object.entries(said)) {
  test(`talosctl's words are understood as: ${reason}`, (t) => {
    const error = understand(stderr, call)
    t.is(error.reason, reason as keyof typeof said)
    t.is(error.transient, ['refused', 'silent', 'broke-off', 'not-ready'].includes(reason))
    t.true(error.what.includes(reason === 'talosconfig' || reason === 'denied' ? '/c/talosconfig' : '192.0.2.1'))
  })
}

test('words that are not understood are shown as they are', (t) => {
  t.like(understand('something new\n', call), { reason: 'other', means: 'talosctl said: something new' })
})

test('a wait goes on over transient errors and ends with the others', async (t) => {
  const throwing = (stderr: string) => patiently(() => Promise.reject(understand(stderr, call)))
  t.like(await throwing(said.refused), { met: false })
  await t.throwsAsync(throwing(said.certificate), { instanceOf: TalosctlError })
})

test('tables are read by the position of their headings, with empty cells', (t) => {
  const table = [
    'NODE        ID                 HOSTNAME   PEER URLS                 CLIENT URLS               LEARNER',
    '127.0.9.1   8e9e05c52164694d   talos00    https://127.0.9.1:2380    https://127.0.9.1:2379    false',
    '127.0.9.1   9e9e05c52164694d              https://127.0.9.2:2380                              true',
  ]
  const rows = parseTable(table.join('\n'))
  t.like(rows[0], { HOSTNAME: 'talos00', 'PEER URLS': 'https://127.0.9.1:2380', LEARNER: 'false' })
  t.like(rows[1], { HOSTNAME: '', 'CLIENT URLS': '', LEARNER: 'true' })
})

test('a talosctl that hangs ends with the process that has started it', async (t) => {
  await withTalosctl('echo $$ > "$0.pid"; exec sleep 600', async (settings, folder) => {
    const program = join(import.meta.dirname, 'programs/call-and-exit.ts')
    const child = spawn(process.execPath, ['--import=tsx', program, JSON.stringify(settings)], { stdio: 'inherit' })
    const exitCode = await new Promise((resolve) => child.once('exit', resolve))
    t.is(exitCode, 130)
    const pid = Number(await readFile(join(folder, 'talosctl.pid'), 'utf8'))
    const isGone = () => !existsSync(`/proc/${pid}`)
    for (let looks = 0; looks < 100 && !isGone(); looks++) await delay(50)
    t.true(isGone(), `process ${pid} is left`)
  })
})

test('a snapshot that has begun to come in and stops is given up long before its deadline', async (t) => {
  const comesIn = 'for i in 1 2 3 4 5 6 7 8; do printf some >> "$3.part"; sleep 0.2; done; sleep 30'
  await withTalosctl(comesIn, async (settings, folder) => {
    const talosctl = await Talosctl.open(settings)
    const began = performance.now()
    const error = await t.throwsAsync(takeSnapshot(talosctl, { address }, folder, 60, 1), { instanceOf: TalosctlError })
    t.is(error?.reason, 'silent')
    t.true(performance.now() - began > 1600, 'not while it came in')
    t.true(performance.now() - began < 20_000)
  })
})
