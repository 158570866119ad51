import test from 'ava'
import { lifetimeLike } from '../../../lib/network/nebula/renew.ts'

const day = 86_400

test('a certificate is given as long as the one before, and never up to the end of its CA, though signing takes its time', (t) => {
  const now = new Date('2026-11-30T22:00:00Z')
  const like = { notBefore: '2026-11-01T00:00:00Z', notAfter: '2026-12-01T00:00:00Z' }
  t.is(lifetimeLike(like, { notAfter: '2028-01-01T00:00:00Z' }, now), 30 * day)
  const inTwoDays = { notAfter: '2026-12-02T22:00:00Z' }
  t.is(lifetimeLike(like, inTwoDays, now), 2 * day - 600, 'ten minutes for who types a passphrase')
  t.is(
    lifetimeLike(like, { notAfter: '2026-11-30T22:02:00Z' }, now),
    60,
    'a CA that is about to end: half of what is left',
  )
})
