import test from 'ava'
import { isAgreed } from '../../lib/migration/consent.ts'

test('a change that is not made unasked is agreed to by its flag, or beforehand in the settings, and by no other', (t) => {
  t.false(isAgreed({ flags: {}, settings: { alsoChange: [] } }, 'hosts'))
  t.true(isAgreed({ flags: { hosts: true }, settings: { alsoChange: [] } }, 'hosts'))
  t.true(isAgreed({ flags: {}, settings: { alsoChange: ['aws', 'hosts'] } }, 'hosts'))
  t.false(isAgreed({ flags: { aws: true }, settings: { alsoChange: ['cluster'] } }, 'hosts'))
})
