import test from 'ava'
import { parseSelector } from '../../../lib/backup/restore/selector.ts'
import { selects } from '../../../lib/kubernetes/kinds.ts'
import { OperatorError } from '../../../lib/migration/errors.ts'

const plex = { app: 'plex', tier: 'web', 'app.kubernetes.io/name': 'plex' }

for (const [selector, selected] of [
  ['app=plex', true],
  ['app==plex', true],
  ['app=plex,tier=cache', false],
  ['app!=plex', false],
  ['absent!=anything', true],
  ['tier in (web, cache)', true],
  ['tier in (db),app=plex', false],
  ['tier notin (db,cache), app', true],
  ['!legacy', true],
  ['!app', false],
  ['app.kubernetes.io/name=plex', true],
  ['legacy', false],
] as const) {
  test(`the selector ${selector} ${selected ? 'selects' : 'does not select'} an object as kubectl's does`, (t) => {
    t.is(selects(parseSelector(selector), plex), selected)
  })
}

for (const wrong of ['', 'app=plex,', 'app in web', 'app=(a)', 'a b', '=x']) {
  test(`"${wrong}" is refused as no selector`, (t) => {
    const error = t.throws(() => parseSelector(wrong), { instanceOf: OperatorError })
    t.is(error.exitCode, 2)
  })
}
