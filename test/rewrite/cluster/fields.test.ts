import test from 'ava'
import { edited, fieldsHolding, shownPointer, textAt } from '../../../lib/rewrite/cluster/fields.ts'
import { seeded } from '../../seeded.ts'
import { findOld } from './find-old.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')
const of = (resource: string, fields: object) => {
  const object = { apiVersion: 'v1', kind: 'Any', metadata: { name: 'any' }, ...fields }
  return fieldsHolding(resource, object, findOld).map((field) => ({ where: shownPointer(field.pointer), ...field }))
}

test('every string is looked into, whatever its depth, and a longer number is not the address', (t) => {
  const found = of('pools.example.org', {
    spec: {
      addresses: ['192.168.1.54/32', '192.168.1.540', '1192.168.1.54'],
      deep: [[{ 'a.b': 'http://192.168.1.54:80' }]],
    },
    status: { ip: '192.168.1.54' },
    count: 54,
  })
  t.deepEqual(
    found.map(({ where }) => where),
    ['spec.addresses[0]', 'spec.deep[0][0]["a.b"]', 'status.ip'],
  )
})

test('values of Secrets and binary data are looked into as what they decode to, and only there', (t) => {
  const packed = base64('server: 192.168.1.54')
  const binary = Buffer.concat([Buffer.from([0xff, 0x00]), Buffer.from('192.168.1.54')]).toString('base64')
  t.deepEqual(
    of('secrets', { data: { config: packed, binary } }).map(({ where, encoded }) => [where, encoded]),
    [['data.config', true]],
  )
  t.deepEqual(
    of('configmaps', { data: { config: packed }, binaryData: { other: packed } }).map(({ where }) => where),
    ['binaryData.other'],
  )
  t.deepEqual(of('secrets', { type: 'helm.sh/release.v1', data: { release: packed } }), [])
})

test('what cannot be edited says why: names, immutable objects, bounds of ranges', (t) => {
  const locks = (resource: string, fields: object) => of(resource, fields).map(({ locked }) => locked)
  t.deepEqual(locks('configmaps', { data: { '192.168.1.54.conf': 'x' } }), ['it is a name in the object, not a value'])
  t.deepEqual(locks('configmaps', { metadata: { name: '192.168.1.54' } }), ['no object can be renamed'])
  t.deepEqual(locks('configmaps', { immutable: true, data: { a: '192.168.1.54' } }), ['it is immutable: make it anew'])
  for (const range of ['192.168.1.54-192.168.1.60', '192.168.1.50 - 192.168.1.54']) {
    t.deepEqual(locks('ipaddresspools.metallb.io', { spec: { addresses: [range] } }), [
      'it is the bound of a range: say yourself which range it is to be',
    ])
  }
  t.deepEqual(locks('configmaps', { metadata: { name: 'a', annotations: { x: 'web-192.168.1.54' } } }), [null])
})

test('which client wrote which field is no content', (t) => {
  t.deepEqual(
    of('services', { metadata: { name: 'a', managedFields: [{ 'k:{"ip":"192.168.1.54"}': '192.168.1.54' }] } }),
    [],
  )
})

test('edits of random texts are made, and taken back to the very text; of another text they are not', (t) => {
  const random = seeded(54)
  const parts = ['192.168.1.54', '192.168.1.60', '192.168.1.540', ' ', 'é', '\n', '"', 'x', '😀']
  for (let round = 0; round < 300; round++) {
    const text = Array.from({ length: 12 }, () => parts[Math.floor(random() * parts.length)]).join('')
    const object = { metadata: { name: 'a' }, data: { text: base64(text) } }
    const [field] = fieldsHolding('secrets', object, findOld)
    if (!field) {
      t.is(findOld(text).length, 0)
      continue
    }
    t.is(textAt(object, field), text)
    const made = edited(text, field.edits, 'make')
    t.is(findOld(made ?? '192.168.1.54').length, 0)
    t.is(edited(made ?? '', field.edits, 'take back'), text)
    t.is(edited(`?${made}`, field.edits, 'take back'), undefined)
  }
})
