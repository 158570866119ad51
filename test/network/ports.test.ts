import { createServer, type Server } from 'node:net'
import test from 'ava'
import { parseAddress } from '../../lib/network/addresses.ts'
import { doorOpens, isOff, knock, machineIsOff } from '../../lib/network/ports.ts'

const loopback = parseAddress('127.0.23.77', 'test')
const remote = parseAddress('192.0.2.1', 'test')

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', reject)
    server.listen(port, loopback, () => resolve(server))
  })
}

test.serial('a port that accepts is open, one that nobody listens on is refused', async (t) => {
  const server = await listen(50000)
  t.is(await knock(loopback, 50000), 'open')
  await new Promise((done) => server.close(done))
  t.is(await knock(loopback, 50000), 'refused')
})

test.serial('a door opens when somebody begins to listen, not while somebody does', async (t) => {
  const ended = new AbortController()
  const states: string[] = []
  const opens = (wasOpen: boolean) => doorOpens(loopback, 50000, wasOpen, ended.signal)
  const first = opens(false).then(() => states.push('first'))
  const server = await listen(50000)
  await first
  const second = opens(true).then(() => states.push('second'))
  t.is(await knock(loopback, 50000), 'open')
  t.deepEqual(states, ['first'])
  await new Promise((done) => server.close(done))
  ended.abort()
  await second
})

test.serial('a machine is off only when all its doors were quiet several times in a row', async (t) => {
  const { probe } = machineIsOff('talos00', loopback, 1, { inARow: 3 })
  t.like(await probe(), { met: false, saw: 'quiet 1 of 3 times' })
  t.like(await probe(), { met: false })
  const server = await listen(6443)
  t.like(await probe(), { met: false, saw: 'Talos API: refused, Kubernetes API: open, etcd: refused' })
  await new Promise((done) => server.close(done))
  for (const met of [false, false, true]) t.is((await probe()).met, met)
})

test('a refused connection is a sign of life, except on loopback', (t) => {
  const report = { 'Talos API': 'refused', 'Kubernetes API': 'silent', etcd: 'silent' } as const
  t.false(isOff(report, remote))
  t.true(isOff(report, loopback))
  t.true(isOff({ ...report, 'Talos API': 'silent' }, remote))
  t.false(isOff({ ...report, etcd: 'open' }, loopback))
})
