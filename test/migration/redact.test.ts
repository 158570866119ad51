import test from 'ava'
import { redact, redacted } from '../../lib/migration/redact.ts'

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

test('what stands in a URL before its host is taken out; the user of ssh stays', (t) => {
  t.is(
    redact('from https://bot:hunter22@git.lan/x and oci://tok@r.lan'),
    'from https://[redacted]@git.lan/x and oci://[redacted]@r.lan',
  )
  t.is(redact('ssh://git@github.com/x ssh://git:hunter22@git.lan/x'), 'ssh://git@github.com/x ssh://git@git.lan/x')
  t.is(redact('https://git.lan/a@b'), 'https://git.lan/a@b')
})

test('facts are redacted text by text, and the names of their fields are not', (t) => {
  const facts = { token: 'the-name-of-a-secret', list: [1, null, { url: 'https://u:p@h/' }] }
  t.deepEqual(redacted(facts), { token: 'the-name-of-a-secret', list: [1, null, { url: 'https://[redacted]@h/' }] })
})
