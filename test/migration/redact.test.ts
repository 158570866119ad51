import test from 'ava'
import { redact } from '../../lib/migration/redact.ts'

test('keys and credentials are taken out, and the rest stays', (t) => {
  const key = Buffer.from('-----BEGIN PRIVATE KEY-----\nabcdefghijklmnopqrstuvwxyz\n-----END').toString('base64')
  const hidden = [
    'AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ',
    '-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----',
    `key: ${key}`,
    'token: abcdef.0123456789abcdef',
    'Authorization: Bearer eyJhbGciOiJSUzI1NiJ9.e30.x',
  ]
  for (const text of hidden) t.regex(redact(`before ${text}`), /^before .*\[?redacted/s, text)
  for (const part of ['QQQQ', 'abc\n', key, '0123456789abcdef', 'eyJhbGci'])
    t.false(redact(hidden.join('\n')).includes(part), part)
  t.is(redact('scale Deployment media/plex to 0'), 'scale Deployment media/plex to 0')
  t.is(redact('the Secret media/plex-token is encrypted'), 'the Secret media/plex-token is encrypted')
})
