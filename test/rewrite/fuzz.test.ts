import test from 'ava'
import { sourcesFor } from '../../lib/rewrite/candidates.ts'
import { edited, inverted, type PlainEdit } from '../../lib/rewrite/edit.ts'
import type { Mapping } from '../../lib/rewrite/mapping.ts'
import { findIn, spellingsOf } from '../../lib/rewrite/spellings.ts'
import { seeded } from '../seeded.ts'

const seeds = Array.from({ length: 300 }, (_, at) => at + 1)

function replaced(text: string, mappings: readonly Mapping[]): { after: string; back: string } {
  const { hits } = findIn(text, mappings.flatMap(spellingsOf))
  const edits: PlainEdit[] = hits.map(({ start, end, becomes }) => ({
    at: start,
    was: text.slice(start, end),
    becomes,
  }))
  const after = edited(Buffer.from(text, 'latin1'), edits)
  return { after: after.toString('latin1'), back: edited(after, inverted(edits)).toString('latin1') }
}

/** Small numbers, so that random text is full of them. */
function addresses(random: () => number): Mapping[] {
  const number = () => Math.floor(random() * 3)
  const address = () => [number(), number(), number(), number()].join('.')
  const [a, b, c] = [address(), address(), `250.${address().slice(2)}`]
  const mappings =
    a === b
      ? [{ from: a, to: c }]
      : [
          { from: a, to: b },
          { from: b, to: random() < 0.5 ? a : c },
        ]
  return mappings as unknown as Mapping[]
}

/** The slow way, character by character, without a regular expression. */
function slowly(text: string, mappings: readonly Mapping[]): string {
  const isDigit = (place: number) => (text[place] ?? 'x') >= '0' && (text[place] ?? 'x') <= '9'
  let after = ''
  for (let place = 0; place < text.length; ) {
    const found = mappings.find(({ from }) => text.startsWith(from, place))
    const end = place + (found?.from.length ?? 0)
    const joinsBefore = isDigit(place - 1) || (text[place - 1] === '.' && text[place - 2] !== '.')
    const joinsBehind = isDigit(end) || (text[end] === '.' && isDigit(end + 1))
    if (found === undefined || joinsBefore || joinsBehind) {
      after += text[place]
      place += 1
    } else {
      after += found.to
      place = end
    }
  }
  return after
}

test(`in random text of digits and dots exactly the addresses change, and the undo is the identity (${seeds.length} seeds)`, (t) => {
  let changes = 0
  for (const seed of seeds) {
    const random = seeded(seed)
    const mappings = addresses(random)
    const alphabet = '000111222....... ,\n"/:[]=#;|\xe9\xff'
    const text = Array.from({ length: 2000 }, () => alphabet[Math.floor(random() * alphabet.length)]).join('')
    const planted = text.replaceAll(/[ ,]/g, (gap) => (random() < 0.2 ? `${gap}${mappings[0]?.from}${gap}` : gap))
    const { after, back } = replaced(planted, mappings)
    t.is(after, slowly(planted, mappings), `seed ${seed}`)
    t.is(back, planted, `seed ${seed}`)
    changes += after === planted ? 0 : 1
  }
  t.true(changes > seeds.length / 2)
})

const byte = (random: () => number) => Math.floor(random() * 256)
const hex = (parts: readonly number[]) => parts.map((part) => part.toString(16).padStart(2, '0')).join('')

const groups = (a: readonly number[]) =>
  [hex(a.slice(0, 2)), hex(a.slice(2))].map((half) => Number.parseInt(half, 16).toString(16)).join(':')

/** The ways to write an address that is to change: the old and the new one are written by the same function. */
const ways: readonly ((address: readonly number[]) => string)[] = [
  (a) => a.join('.'),
  (a) => `"${a.join('.')}"`,
  (a) => `https://${a.join('.')}:6443/x`,
  (a) => `${a.join('.')}/24`,
  (a) => `^${a.join('\\.')}$`,
  (a) => `ip-${a.join('-')}.local`,
  (a) => `${a.toReversed().join('.')}.in-addr.arpa`,
  (a) => `app.${a.join('.')}.nip.io`,
  (a) => `app-${hex(a)}.nip.io`,
  (a) => `0x${hex(a)}`,
  (a) => `::ffff:${a.join('.')}`,
  (a) => `x\\n${a.join('.')}\\n`,
  (a) => `?u=${a.join('%2E')}&`,
  (a) => a.join('[.]'),
  (a) => `::ffff:${groups(a)}`,
]

/** What is not the address, although it holds its text. */
const others: readonly ((address: readonly number[]) => string)[] = [
  (a) => `${a.join('.')}0`,
  (a) => `1${a.join('.')}`,
  (a) => `${a.join('.')}.1`,
  (a) => `1.${a.join('.')}`,
  (a) => `v${a.join('.')}`,
  (a) => `${a.join('.')}.example.com`,
  (a) => `7-${a.join('-')}`,
  (a) => `${hex(a)}ff`,
  (a) => a.join('_'),
  (a) => `${a.join('\\.')}\\d`,
]

test(`random addresses, written in every way, among what only looks like them (${seeds.length} seeds)`, (t) => {
  for (const seed of seeds) {
    const random = seeded(seed)
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
    const address = () => [byte(random), byte(random), byte(random), byte(random)]
    const [from, to] = [address(), address()]
    const parts = Array.from({ length: 60 }, () => {
      if (random() < 0.5) {
        const way = pick(ways)
        return [way(from), way(to)] as const
      }
      const same = pick(others)(from)
      return [same, same] as const
    })
    const gaps = parts.map(() => pick([' ', '\n', '\r\n', '\t', ' \xe9 ']))
    const text = (side: 0 | 1) => parts.map((part, at) => part[side] + gaps[at]).join('')
    const mapping = { from: from.join('.'), to: to.join('.') } as unknown as Mapping
    const { after, back } = replaced(text(0), [mapping])
    t.is(after, text(1), `seed ${seed}: ${mapping.from} → ${mapping.to}`)
    t.is(back, text(0), `seed ${seed}`)
  }
})

test('swapped addresses change places, in one pass', (t) => {
  const mappings = [
    { from: '10.0.0.1', to: '10.0.0.2' },
    { from: '10.0.0.2', to: '10.0.0.1' },
  ] as unknown as Mapping[]
  t.is(replaced('10.0.0.1 10.0.0.2 10.0.0.10', mappings).after, '10.0.0.2 10.0.0.1 10.0.0.10')
})

test(`the first look lets no line pass that holds a hit (${seeds.length} seeds)`, (t) => {
  let hits = 0
  for (const seed of seeds) {
    const random = seeded(seed)
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
    const small = seed % 2 === 0 ? () => Math.floor(random() * 12) : () => byte(random)
    const [from, to] = [
      [small(), small(), small(), small()],
      [byte(random), byte(random), byte(random), byte(random)],
    ]
    const mapping = { from: from.join('.'), to: to.join('.') } as unknown as Mapping
    const firstLook = new RegExp(sourcesFor([mapping]).join('|'))
    for (let at = 0; at < 40; at++) {
      const written = pick([...ways, ...others])(from)
      const cased = pick([written, written.toUpperCase(), written.toLowerCase()])
      const line = pick(['', 'a: ', '\xe9', '"', '%3A', '\\t']) + cased + pick(['', '"', ':80', '.', '\xff', '\r'])
      if (findIn(line, spellingsOf(mapping)).hits.length === 0) continue
      hits += 1
      t.regex(line, firstLook, `seed ${seed}`)
    }
  }
  t.true(hits > 10 * seeds.length)
})
