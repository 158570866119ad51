import test from 'ava'
import { parseAddress } from '../../lib/network/addresses.ts'
import { mentions, withAddress } from '../../lib/network/mentions.ts'

const old = parseAddress('192.168.1.54', 'test')
const next = parseAddress('10.0.0.7', 'test')

const changed: Record<string, string> = {
  '192.168.1.54': '10.0.0.7',
  '192.168.1.54/24': '10.0.0.7/24',
  'https://192.168.1.54:6443': 'https://10.0.0.7:6443',
  'http://u:p@192.168.1.54:3128/x': 'http://u:p@10.0.0.7:3128/x',
  '192.168.1.54,192.168.1.54': '10.0.0.7,10.0.0.7',
  'at 192.168.1.54.': 'at 10.0.0.7.',
  'grafana.192.168.1.54.nip.io': 'grafana.10.0.0.7.nip.io',
  '192.168.1.54.nip.io': '10.0.0.7.nip.io',
}

for (const [text, result] of Object.entries(changed)) {
  test(`${text} becomes ${result}`, (t) => t.is(withAddress(text, old, next), result))
}

test('an address within a longer number, name or version is another thing', (t) => {
  const others = ['192.168.1.540', '1192.168.1.54', '1.192.168.1.54', '192.168.1.54.3', '192x168.1.54']
  for (const text of others) t.false(mentions(text, old), text)
  for (const text of [...others, 'ip-192.168.1.54', 'v192.168.1.54']) t.is(withAddress(text, old, next), text)
})

test('an address that is part of a name is found, and left to a person', (t) => {
  for (const text of ['ip-192-168-1-54.home', 'node-192.168.1.54']) {
    t.true(mentions(text, old), text)
    t.is(withAddress(text, old, next), text)
  }
})

test('an IPv6 address is known in any spelling, and keeps its brackets', (t) => {
  const six = parseAddress('fd00::54', 'test')
  const other = parseAddress('fd00::57', 'test')
  t.is(withAddress('https://[fd00::54]:6443', six, other), 'https://[fd00::57]:6443')
  t.is(withAddress('fd00:0:0:0::54/64', six, other), 'fd00::57/64')
  t.is(withAddress('FD00::0054', six, other), 'fd00::57')
  t.false(mentions('fd00::540', six))
  t.false(mentions('fd00::54:1', six))
})
