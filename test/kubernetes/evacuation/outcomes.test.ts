import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { volumeOutcomes } from '../../../lib/kubernetes/evacuation/outcomes.ts'
import { Journal } from '../../../lib/migration/journal.ts'
import { temporaryFolder } from '../../temporary-folder.ts'

const volume = (claim: string | null, fate: string) => ({
  volume: `of-${claim}`,
  claim,
  storageClass: fate === 'lost' ? 'local-path' : 'nfs',
  size: '1Gi',
  fate,
  usedBy: [],
})

const inventory = JSON.stringify([
  volume('media/plex', 'preserved'),
  volume('media/new', 'unknown'),
  volume('db/back', 'lost'),
  volume('db/away', 'lost'),
  volume('db/cache', 'lost'),
  volume('db/gone', 'lost'),
  volume(null, 'lost'),
])

function journalWith(...phases: string[]): Journal {
  const path = join(temporaryFolder('outcomes'), 'journal.jsonl')
  writeFileSync(path, '')
  const journal = Journal.open(path, () => new Date())
  const evacuated = (claim: string) => {
    const copy = { namespace: 'db', claim, volume: 'v', copy: `copy-of-${claim}`, storageClass: 'nfs' }
    journal.append({
      type: 'fact',
      phase: 'drain',
      name: `evacuated db/${claim}`,
      fact: { ...copy, files: 1, kib: 1, digest: 'd' },
    })
  }
  evacuated('back')
  evacuated('away')
  for (const phase of phases) journal.append({ type: 'phase', phase, state: 'done' })
  journal.append({ type: 'fact', phase: 'resume', name: 'brought back db/back', fact: true })
  return journal
}

const fates = (journal: Journal) =>
  Object.fromEntries(
    volumeOutcomes(inventory, journal, { acceptDataLoss: ['db/cache'] }).map(({ claim, fate, kept }) => [
      claim,
      [fate, kept],
    ]),
  )

test('after the evening every claimed volume is preserved, evacuated, or lost and by whom that was accepted', (t) => {
  t.deepEqual(fates(journalWith('shutdown')), {
    'media/plex': ['preserved', true],
    'media/new': ['unknown: its class is in no setting', true],
    'db/back': ['evacuated and brought back', true],
    'db/away': ['evacuated; its copy copy-of-away is not brought back', true],
    'db/cache': ['lost, accepted by db/cache', false],
    'db/gone': ['lost', false],
  })
})

test('while the old machine was not shut down nothing is lost', (t) => {
  t.deepEqual(fates(journalWith())['db/gone'], ['still on the old machine', true])
})

test('an inventory that is none is an error', (t) => {
  t.throws(() => volumeOutcomes('[{}]', journalWith(), { acceptDataLoss: [] }))
})
