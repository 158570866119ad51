import test from 'ava'
import { OperatorError } from '../../lib/migration/errors.ts'
import { isLoopback, parseAddress, sameAddress } from '../../lib/network/addresses.ts'

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
