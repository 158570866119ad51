import test from 'ava'
import { parseAddress } from '../../lib/network/addresses.ts'
import { leadsTo } from '../../lib/network/resolve.ts'

const next = parseAddress('192.168.1.57', 'test')
const resolving = (url: string, ...addresses: string[]) => leadsTo(url, next, 1, async () => addresses).probe()

test('a name that leads to the address is met, also among others', async (t) => {
  t.true((await resolving('https://k8s.home:6443', '192.168.1.57')).met)
  t.true((await resolving('https://k8s.home:6443', 'fd00::1', '192.168.1.57')).met)
})

test('a name that still leads to the old machine is waited for, and told', async (t) => {
  t.deepEqual(await resolving('https://k8s.home:6443', '192.168.1.54'), { met: false, saw: 'k8s.home is 192.168.1.54' })
  t.deepEqual(await resolving('https://k8s.home:6443'), { met: false, saw: 'k8s.home is nowhere' })
})

test('an address is not asked for', async (t) => {
  const never = () => Promise.reject(new Error('it was asked for'))
  for (const url of ['https://192.168.1.100:6443', 'https://[fd00::57]:6443'])
    t.true((await leadsTo(url, next, 1, never).probe()).met)
})
