import { createServer } from 'node:net'
import test from 'ava'
import { controlPlane, oldAddressFindings } from '../../lib/verify/machines.ts'

const moved = { scenario: 'B', nodeAddress: '127.0.7.54', newNodeAddress: '127.0.7.57' } as const

test('in scenario B the control plane is at the new address, and in any other where it was', (t) => {
  t.is(String(controlPlane(moved).address), '127.0.7.57')
  t.is(String(controlPlane({ ...moved, scenario: 'A' }).address), '127.0.7.54')
  t.is(String(controlPlane({ ...moved, newNodeAddress: undefined }).address), '127.0.7.54')
})

test('who answers at the old address is an error in scenario B, and not looked for in any other', async (t) => {
  t.deepEqual(await oldAddressFindings(moved), [])
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(6443, moved.nodeAddress, resolve))
  t.teardown(() => server.close())
  const [finding] = await oldAddressFindings(moved)
  t.like(finding, { subject: '127.0.7.54', severity: 'error' })
  t.regex(finding?.evidence ?? '', /Kubernetes API: open/)
  t.deepEqual(await oldAddressFindings({ ...moved, scenario: 'A' }), [])
})
