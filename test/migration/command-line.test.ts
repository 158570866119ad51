import test from 'ava'
import { parseFlags } from '../../lib/migration/command-line.ts'

const own = { 'from-backup': 'optional string', node: 'string' } as const

test('a value that may be left out is the empty text then, wherever the flag stands', (t) => {
  t.is(parseFlags(['--from-backup'], own)['from-backup'], '')
  t.is(parseFlags(['--from-backup', '--dry-run'], own)['from-backup'], '')
  t.is(parseFlags(['--from-backup', '--dry-run'], own)['dry-run'], true)
  t.is(parseFlags([], own)['from-backup'], undefined)
})

test('given, it is the value, with a space or with =', (t) => {
  t.is(parseFlags(['--from-backup', './nas/backup-1', '--json'], own)['from-backup'], './nas/backup-1')
  t.is(parseFlags(['--from-backup=./nas/backup-1'], own)['from-backup'], './nas/backup-1')
})

test('a value that may not be left out is asked for', (t) => {
  t.throws(() => parseFlags(['--node'], own), { message: /--node/ })
})
