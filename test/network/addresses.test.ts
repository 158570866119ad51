import test from 'ava'
import { OperatorError } from '../../lib/migration/errors.ts'
import { isLoopback, movedHost, movedUrl, parseAddress, sameAddress } from '../../lib/network/addresses.ts'

test('addresses are read, and written in one way', (t) => {
  t.is(String(parseAddress(' 192.168.1.54 ', 'TALOS_NODE')), '192.168.1.54')
  t.is(String(parseAddress('FD00:0:0::54', 'TALOS_NODE')), 'fd00::54')
})

test('what is no address is refused, also what an old parser would take for one', (t) => {
  for (const text of [
    '',
    'talos00',
    '192.168.1',
    '192.168.1.256',
    '0300.168.1.54',
    '192.168.1.54:50000',
    'fe80::1%eth0',
    '10.0.0.0/8',
  ]) {
    const error = t.throws(() => parseAddress(text, 'TALOS_NODE'), { instanceOf: OperatorError }, text)
    t.is(error?.exitCode, 2)
    t.regex(error?.message ?? '', /^TALOS_NODE is not an IP address/)
  }
})

test('addresses know loopback and their other spellings', (t) => {
  t.true(isLoopback(parseAddress('127.0.23.1', 'x')))
  t.false(isLoopback(parseAddress('192.168.1.54', 'x')))
  t.true(sameAddress('::ffff:10.0.0.1', '10.0.0.1'))
  t.false(sameAddress('192.168.1.54', '192.168.1.5'))
})

test('what stands for a machine gets its new address: with a port, in brackets, in a URL, and no longer number or name', (t) => {
  const move = (from: string, to: string) => ({ from: parseAddress(from, 'x'), to: parseAddress(to, 'x') })
  // Swapped, they do not meet twice.
  const moves = [move('10.0.0.5', '10.0.0.6'), move('10.0.0.6', '10.0.0.5'), move('fd00::5', 'fd00::6')]
  const hosts: Record<string, string | undefined> = {
    '10.0.0.5': '10.0.0.6',
    '10.0.0.6:50000': '10.0.0.5:50000',
    '10.0.0.50': undefined,
    '10.0.0.5:x': undefined,
    'talos00:50000': undefined,
    'FD00:0::5': 'fd00::6',
    '[fd00::5]:50000': '[fd00::6]:50000',
    '[fd00::5]': '[fd00::6]',
    '': undefined,
  }
  for (const [host, moved] of Object.entries(hosts)) t.is(movedHost(host, moves), moved, host)
  t.is(movedUrl('https://10.0.0.5:6443/a?b=10.0.0.5', moves), 'https://10.0.0.6:6443/a?b=10.0.0.5')
  t.is(movedUrl('HTTPS://[fd00::5]/', moves), 'HTTPS://[fd00::6]/')
  t.is(movedUrl('https://10.0.0.5', [move('10.0.0.5', 'fd00::6')]), 'https://[fd00::6]')
  t.is(movedUrl('https://10.0.0.5.example:6443', moves), undefined)
  t.is(movedUrl('10.0.0.5', moves), undefined)
})
