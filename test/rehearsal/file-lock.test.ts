import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { machinePorts, takeNetwork } from '../../lib/rehearsal/addresses.ts'
import { tryLock, waitForLock } from '../../lib/rehearsal/file-lock.ts'

function newPath(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'lock-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }))
  return join(folder, 'the.lock')
}

function holderOf(pid: number, started: string, host = hostname()): string {
  return JSON.stringify({ pid, started, host, since: '2026-01-02T03:04:05.000Z', purpose: 'testing' })
}

test('a lock is had by one at a time, and the other is told who, since when and what for', (t) => {
  const path = newPath(t)
  const first = tryLock(path, 'building')
  if (!('lock' in first)) return t.fail('nobody had it')
  const second = tryLock(path, 'building too')
  if ('lock' in second) return t.fail('two have it')
  t.is(second.holder.pid, process.pid)
  t.is(second.holder.purpose, 'building')
  first.lock.release()
  t.true('lock' in tryLock(path, 'building again'))
})

test('a lock of a process that is gone, or whose id another one has now, is taken over', (t) => {
  const path = newPath(t)
  for (const stale of [holderOf(999_999_999, '1'), holderOf(process.pid, '1'), '{"torn']) {
    writeFileSync(path, stale)
    const attempt = tryLock(path, 'taking over')
    t.true('lock' in attempt, stale)
    if ('lock' in attempt) attempt.lock.release()
  }
  t.deepEqual(readdirSync(join(path, '..')), [])
})

test('a lock of another computer is respected: nothing can be known of its processes', (t) => {
  const path = newPath(t)
  writeFileSync(path, holderOf(999_999_999, '1', 'elsewhere'))
  t.true('holder' in tryLock(path, 'trying'))
})

test('a lock that somebody else has taken over is not released by its former holder', (t) => {
  const path = newPath(t)
  const first = tryLock(path, 'first')
  writeFileSync(path, holderOf(process.pid, ''))
  if ('lock' in first) first.lock.release()
  t.true('holder' in tryLock(path, 'trying'))
})

test('who waits for a lock gets it when it is released', async (t) => {
  const path = newPath(t)
  const first = tryLock(path, 'first')
  const waitedFor: string[] = []
  const waiting = waitForLock(path, 'second', {
    onWait: (holder) => {
      waitedFor.push(holder.purpose)
      if ('lock' in first) first.lock.release()
    },
  })
  const lock = await waiting
  t.deepEqual(waitedFor, ['first'])
  lock.release()
})

test('clusters that are made at the same time get networks of their own, and give them back', async (t) => {
  const networks = await Promise.all([takeNetwork('one'), takeNetwork('two'), takeNetwork('three')])
  const addresses = networks.map((network) => network.address(54))
  t.is(new Set(addresses).size, 3)
  for (const address of addresses) t.regex(address, /^127\.0\.\d+\.54$/)
  for (const network of networks) network.release()
})

test('a network on which something listens already is passed over', async (t) => {
  const first = await takeNetwork('one')
  const host = first.address(54)
  const server = createServer()
  await new Promise<void>((resolve) => server.listen({ host, port: machinePorts[1] }, resolve))
  t.teardown(() => void server.close())
  first.release()
  const second = await takeNetwork('two')
  t.teardown(() => second.release())
  t.not(second.address(54), host)
})
