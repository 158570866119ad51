import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { OperatorError } from '../../lib/migration/errors.ts'
import { cachedPath } from '../../lib/rehearsal/binaries/build.ts'
import { cacheFolder } from '../../lib/rehearsal/binaries/find.ts'
import { ensureTools } from '../../lib/rehearsal/binaries.ts'
import { gadget, gadgetProgram, listener, type Workshop, workshop } from './fake-go.ts'

const program = join(dirname(fileURLToPath(import.meta.url)), 'programs', 'ensure-gadget.ts')

function open(t: ExecutionContext, options: Parameters<typeof workshop>[0] = {}): Workshop {
  const shop = workshop(options)
  t.teardown(() => rmSync(shop.folder, { recursive: true, force: true, maxRetries: 10 }))
  return shop
}

async function ensure(shop: Workshop, more: Record<string, string> = {}, signal?: AbortSignal) {
  const progress = listener()
  const environment = { ...shop.environment, ...more }
  const found = await ensureTools([shop.tool], { progress, environment, ...(signal ? { signal } : {}) })
  return { found: found.get('etcd'), said: progress.said }
}

const cacheOf = (shop: Workshop) => cacheFolder(shop.environment)

test('what is nowhere to be found is built, and the next time it is taken from the cache', async (t) => {
  const shop = open(t)
  const first = await ensure(shop)
  t.is(first.found?.path, cachedPath(shop.tool, cacheOf(shop)))
  t.is(first.found?.version, '1.2.3')
  t.true(first.said.some((line) => line.startsWith('built etcd')))
  await ensure(shop)
  t.is(shop.builds(), 1)
})

test('a binary is looked for in the setting, then PATH, then KUBEBUILDER_ASSETS, then the cache', async (t) => {
  const shop = open(t)
  await ensure(shop)
  const assets = { KUBEBUILDER_ASSETS: join(shop.folder, 'assets') }
  gadgetProgram(join(shop.folder, 'assets/etcd'), '1.2.3')
  t.is((await ensure(shop, assets)).found?.origin, 'KUBEBUILDER_ASSETS')
  gadgetProgram(join(shop.folder, 'bin/etcd'), '1.2.3')
  t.is((await ensure(shop, assets)).found?.origin, 'PATH')
  const GADGET_BINARY = gadgetProgram(join(shop.folder, 'mine'), '1.2.3')
  t.is((await ensure(shop, { ...assets, GADGET_BINARY })).found?.path, GADGET_BINARY)
  t.is(shop.builds(), 1)
})

test('a wrong version on PATH is passed over with a note that names it', async (t) => {
  const shop = open(t)
  const wrong = gadgetProgram(join(shop.folder, 'bin/etcd'), '1.2.2')
  const { found, said } = await ensure(shop)
  t.is(found?.origin, 'cache')
  t.true(said.includes(`${wrong} is version 1.2.2, not 1.2.3: passed over`))
})

test('another program of the same name is not taken for it', async (t) => {
  const shop = open(t)
  const other = join(shop.folder, 'bin/etcd')
  writeFileSync(other, '#!/bin/sh\necho 3.0.2\n')
  chmodSync(other, 0o755)
  const { found, said } = await ensure(shop)
  t.is(found?.origin, 'cache')
  t.true(said.some((line) => line.includes(`${other} does not tell a version`)))
})

test('a wrong version that was asked for by name is an error that names it, and nothing is built', async (t) => {
  const shop = open(t)
  const GADGET_BINARY = gadgetProgram(join(shop.folder, 'mine'), '1.2.2')
  const error = await t.throwsAsync(ensure(shop, { GADGET_BINARY }), { instanceOf: OperatorError })
  t.is(error.exitCode, 2)
  t.regex(error.what, /GADGET_BINARY names .*mine is version 1\.2\.2, not 1\.2\.3/)
  t.is(shop.builds(), 0)
})

test('a setting that names no executable is an error too', async (t) => {
  const shop = open(t)
  const error = await t.throwsAsync(ensure(shop, { GADGET_BINARY: '/nowhere/etcd' }), { instanceOf: OperatorError })
  t.regex(error.what, /no executable file/)
})

test('what was built and is not the pinned version never gets into the cache', async (t) => {
  const shop = open(t, { version: '1.2.4' })
  const error = await t.throwsAsync(ensure(shop), { instanceOf: OperatorError })
  t.regex(error.what, /is version 1\.2\.4, not 1\.2\.3/)
  t.deepEqual(readdirSync(cacheOf(shop)), [])
})

test('without go an operator is told what to install', async (t) => {
  const shop = open(t)
  rmSync(join(shop.folder, 'bin/go'))
  const error = await t.throwsAsync(ensure(shop, { PATH: join(shop.folder, 'bin') }), { instanceOf: OperatorError })
  t.regex(error.what, /no go on PATH.*etcd 1\.2\.3/)
  t.regex(error.next ?? '', /Install Go/)
})

test('an interrupted build leaves nothing half, and the next one starts clean', async (t) => {
  const shop = open(t, { goTakes: 1 })
  const stop = new AbortController()
  const building = ensure(shop, {}, stop.signal)
  await until(() => shop.builds() === 1)
  stop.abort(new Error('stopped by the test'))
  await t.throwsAsync(building, { message: 'stopped by the test' })
  t.deepEqual(readdirSync(cacheOf(shop)), [])
  t.is((await ensure(shop)).found?.version, '1.2.3')
})

test('the key of the cache changes with the pinned modules', (t) => {
  const shop = open(t)
  const before = cachedPath(shop.tool, '/cache')
  writeFileSync(join(shop.folder, 'module/go.sum'), 'another sum\n')
  t.not(cachedPath(shop.tool, '/cache'), before)
})

interface Asking {
  child: ChildProcess
  output: () => string
  ended: Promise<number | string | null>
}

function ask(t: ExecutionContext, shop: Workshop): Asking {
  const child = spawn(process.execPath, ['--import', 'tsx', program, join(shop.folder, 'module')], {
    env: shop.environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => void child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)))
  const ended = new Promise<number | string | null>((resolve) =>
    child.on('close', (code, signal) => resolve(code ?? signal)),
  )
  return { child, output: () => output, ended }
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition was not met within 30 s')
    await delay(20)
  }
}

test('two processes that ask at once build once, and the second says for whom it waits', async (t) => {
  const shop = open(t, { goTakes: 3 })
  const first = ask(t, shop)
  await until(() => shop.builds() === 1)
  const second = ask(t, shop)
  t.deepEqual(await Promise.all([first.ended, second.ended]), [0, 0])
  t.is(shop.builds(), 1)
  t.regex(second.output(), new RegExp(`process ${first.child.pid} is building .* since .*: waiting for it`))
  const path = cachedPath(gadget(join(shop.folder, 'module')), cacheOf(shop))
  for (const one of [first, second]) t.true(one.output().includes(`found: ${path}`))
})

test('a builder that was killed blocks nobody and leaves nothing', async (t) => {
  const shop = open(t, { goTakes: 1 })
  const first = ask(t, shop)
  await until(() => shop.builds() === 1)
  first.child.kill('SIGKILL')
  await first.ended
  t.true(existsSync(join(cacheOf(shop), 'build.lock')))
  t.is((await ensure(shop)).found?.version, '1.2.3')
  t.is(shop.builds(), 2)
  t.is(readdirSync(cacheOf(shop)).length, 1)
})

test('a partial folder of a process that is gone is removed before the next build', async (t) => {
  const shop = open(t)
  mkdirSync(join(cacheOf(shop), '.partial-999999999-x'), { recursive: true })
  await ensure(shop)
  t.deepEqual(
    readdirSync(cacheOf(shop)).filter((name) => name.startsWith('.partial')),
    [],
  )
})

test('a Python program lies in the cache together with the packages that its requirements pin', async (t) => {
  const shop = open(t)
  const folder = join(shop.folder, 'module')
  writeFileSync(join(folder, 'requirements.txt'), 'gadget==1.2.3\n')
  writeFileSync(join(folder, 'etcd'), '#!/bin/sh\necho gadget $(cat "$(dirname "$0")/packages/version")\n')
  // Standing in for `python3 -m pip install --target FOLDER … --requirement FILE`.
  const pip = join(shop.folder, 'bin/python3')
  writeFileSync(pip, '#!/bin/sh\nmkdir "$5"\nfor last; do :; done\nsed "s/.*==//" "$last" > "$5/version"\n')
  chmodSync(pip, 0o755)
  const tool = { ...shop.tool, source: { kind: 'python' as const, folder } }
  const ask = () => ensureTools([tool], { progress: listener(), environment: shop.environment })
  const found = (await ask()).get('etcd')
  t.is(found?.path, cachedPath(tool, cacheOf(shop)))
  t.is(found?.version, '1.2.3')
  t.deepEqual(readdirSync(dirname(found?.path ?? '')).sort(), ['etcd', 'packages'])
  writeFileSync(join(folder, 'requirements.txt'), 'gadget==1.2.4\n')
  t.not(cachedPath(tool, cacheOf(shop)), found?.path, 'other packages are another program')
  await t.throwsAsync(ask(), { message: /is version 1\.2\.4, not 1\.2\.3/ })
})
