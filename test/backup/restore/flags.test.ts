import test from 'ava'
import { parseWishes, selectionOf } from '../../../lib/backup/restore/flags.ts'
import { OperatorError } from '../../../lib/migration/errors.ts'

const entry = (group: string, resource: string) => ({
  group,
  version: 'v1',
  resource,
  count: 1,
  path: `${resource}.gz`,
})
const deployments = entry('apps', 'deployments')
const services = entry('', 'services')
const knative = entry('serving.knative.dev', 'services')
const kinds = new Map([
  [deployments, 'Deployment'],
  [services, 'Service'],
  [knative, 'Service'],
])
const object = (namespace: string | undefined, name: string, labels = {}) => ({
  metadata: { name, labels, ...(namespace === undefined ? {} : { namespace }) },
})

test('without a selection nothing is restored, unless --all says everything', (t) => {
  const error = t.throws(() => parseWishes({}), { instanceOf: OperatorError })
  t.is(error.exitCode, 2)
  t.regex(error.next ?? '', /--all/)
  const { resource, object: wanted } = selectionOf(parseWishes({ all: true }), new Map())
  t.true(resource(services))
  t.true(wanted(object(undefined, 'a'), services))
})

test('--all beside a selection is a contradiction', (t) => {
  t.throws(() => parseWishes({ all: true, namespace: 'media' }), { instanceOf: OperatorError, message: /contradict/ })
})

for (const [word, expected] of [
  ['deployments', [deployments]],
  ['Deployment', [deployments]],
  ['deployment', [deployments]],
  ['deployments.apps', [deployments]],
  ['services', [services, knative]],
  ['services.serving.knative.dev', [knative]],
  ['deployments, services.serving.knative.dev', [deployments, knative]],
] as const) {
  test(`--resource ${word} names resources by plural, plural and group, or kind`, (t) => {
    const { resource } = selectionOf(parseWishes({ resource: word }), kinds)
    // A manifest that is read again has entries of its own.
    t.deepEqual([...kinds.keys()].map((one) => ({ ...one })).filter(resource), [...expected])
  })
}

test('a resource that the backup does not have is an error that names near ones', (t) => {
  const error = t.throws(() => selectionOf(parseWishes({ resource: 'deploy' }), kinds), { instanceOf: OperatorError })
  t.is(error.exitCode, 2)
  t.regex(error.means ?? '', /deployments\.apps/)
})

test('all flags that are given must hold, and a comma allows several values', (t) => {
  const { object: wanted } = selectionOf(
    parseWishes({ namespace: 'media,home', name: 'plex, sonarr', selector: 'app in (a,b)' }),
    new Map(),
  )
  t.true(wanted(object('media', 'plex', { app: 'a' }), deployments))
  t.true(wanted(object('home', 'sonarr', { app: 'b' }), deployments))
  t.false(wanted(object('media', 'plex', { app: 'c' }), deployments))
  t.false(wanted(object('media', 'radarr', { app: 'a' }), deployments))
  t.false(wanted(object('other', 'plex', { app: 'a' }), deployments))
  t.false(wanted(object(undefined, 'plex', { app: 'a' }), deployments))
})

test('a conflict is met by skip unless told otherwise, and by nothing that is not known', (t) => {
  t.is(parseWishes({ all: true }).conflict, 'skip')
  t.is(parseWishes({ all: true, conflict: 'update' }).conflict, 'update')
  t.throws(() => parseWishes({ all: true, conflict: 'overwrite' }), { instanceOf: OperatorError, message: /overwrite/ })
})
