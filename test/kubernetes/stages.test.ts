import test from 'ava'
import { stagesOf } from '../../lib/kubernetes/stages.ts'

const items = [
  { namespace: 'media', name: 'plex', isDatabase: false },
  { namespace: 'databases', name: 'postgres', isDatabase: true },
  { namespace: 'databases', name: 'pgadmin', isDatabase: false },
  { namespace: 'auth', name: 'authentik', isDatabase: false },
  { namespace: 'media', name: 'plex-cache', isDatabase: true },
]

const namesIn = (order: string[]) =>
  [...stagesOf(items, order).values()].map((stage) => stage.map(({ namespace, name }) => `${namespace}/${name}`))

test('without an order, what is no database goes before what is', (t) => {
  t.deepEqual(namesIn([]), [
    ['media/plex', 'databases/pgadmin', 'auth/authentik'],
    ['databases/postgres', 'media/plex-cache'],
  ])
})

test('what is named goes in its order, and what is not before all of it', (t) => {
  t.deepEqual(namesIn(['media/*', 'databases/*']), [
    ['auth/authentik'],
    ['media/plex'],
    ['media/plex-cache'],
    ['databases/pgadmin'],
    ['databases/postgres'],
  ])
})

test('a * alone says where the rest goes', (t) => {
  t.deepEqual(namesIn(['media/plex', '*', 'databases/postgres']), [
    ['media/plex'],
    ['databases/pgadmin', 'auth/authentik'],
    ['media/plex-cache'],
    ['databases/postgres'],
  ])
})

test('a pattern is a name and no expression', (t) => {
  t.deepEqual(namesIn(['media/ple.*']), namesIn([]))
})
