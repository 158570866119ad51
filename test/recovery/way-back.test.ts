import test from 'ava'
import { Journal, type UndoData } from '../../lib/migration/journal.ts'
import { wayBack } from '../../lib/recovery/rollback/way-back.ts'

const old = { address: '192.168.1.54', uuid: 'old', macs: ['02:00:00:00:00:01'] }
const replacement = { address: '192.168.1.60', uuid: 'new', macs: ['02:00:00:00:00:02'] }

/** A journal to which changes are written by their kind, each called as its kind. */
class Evening {
  readonly journal = Journal.inMemory(null, () => new Date())

  change(kind: string, data: Record<string, unknown> = {}, phase = 'drain'): number {
    const undo = { kind, ...data } as UndoData
    const id = this.journal.beginChange({ phase, step: '', what: kind, undo })
    this.journal.append({ type: 'outcome', id, state: 'done' })
    return id
  }

  undone(id: number): void {
    this.journal.append({ type: 'outcome', id, state: 'undone' })
  }

  get way() {
    const { changes, standAgain, goWithIt, joined, ...rest } = wayBack(this.journal)
    const ids = (list: typeof changes) => list.map(({ id }) => id)
    return {
      changes: ids(changes),
      standAgain: ids(standAgain),
      goWithIt: ids(goWithIt),
      joined: ids(joined),
      ...rest,
    }
  }
}

test('before the shutdown what stands is undone, the newest first', (t) => {
  const evening = new Evening()
  const cordon = evening.change('cordon')
  const scale = evening.change('scale')
  evening.undone(evening.change('scale'))
  t.deepEqual(evening.way, {
    changes: [scale, cordon],
    standAgain: [],
    goWithIt: [],
    joined: [],
    old: undefined,
    replacement: undefined,
    etcd: 'none',
  })
})

test('what was undone on the new machine stands still in the etcd of the old one', (t) => {
  const evening = new Evening()
  evening.undone(evening.change('scale'))
  const scale = evening.change('scale')
  const power = evening.change('power', old)
  const config = evening.change('machine-config', replacement)
  const etcd = evening.change('etcd', { address: replacement.address })
  evening.undone(scale)
  const { changes, standAgain } = evening.way
  t.deepEqual(standAgain, [scale], 'what was undone before the shutdown does not stand')
  t.deepEqual(changes, [etcd, config, power, scale])
})

test('what was done to the etcd of the new machine goes with it, and is not undone in that of the old one', (t) => {
  const evening = new Evening()
  const power = evening.change('power', old)
  const config = evening.change('machine-config', replacement)
  const etcd = evening.change('etcd', { address: replacement.address })
  const made = evening.change('restored', { path: '/api/v1/namespaces/media/secrets/plex' })
  const file = evening.change('kubeconfig')
  t.deepEqual(evening.way.goWithIt, [made])
  t.deepEqual(evening.way.changes, [file, etcd, config, power])
})

test('both machines are known from what was done to them', (t) => {
  const evening = new Evening()
  evening.change('power', old)
  evening.change('machine-config', replacement)
  const { way } = evening
  t.is(way.old?.address, '192.168.1.54' as never)
  t.deepEqual(way.old?.identity, { uuid: 'old', macs: ['02:00:00:00:00:01'] })
  t.is(way.replacement?.identity.uuid, 'new')
  t.is(way.etcd, 'none')
})

test('an etcd whose order a kill came over may have begun', (t) => {
  const evening = new Evening()
  evening.change('machine-config', replacement)
  const undo = { kind: 'etcd', address: replacement.address } as UndoData
  const id = evening.journal.beginChange({ phase: 'provision', step: '', what: 'etcd', undo })
  t.is(evening.way.etcd, 'maybe')
  evening.journal.append({ type: 'outcome', id, state: 'done' })
  t.is(evening.way.etcd, 'begun')
})

test('the old machine, powered on by hand and resumed without a new one, has nothing that stands again', (t) => {
  const evening = new Evening()
  const scale = evening.change('scale')
  const power = evening.change('power', old)
  evening.undone(scale)
  t.deepEqual(evening.way.standAgain, [])
  t.deepEqual(evening.way.changes, [power])
})

test('a rollback that was killed goes by what it has written down', (t) => {
  const evening = new Evening()
  const scale = evening.change('scale')
  const cordon = evening.change('cordon')
  evening.change('power', old)
  const etcd = evening.change('etcd', { address: old.address })
  evening.undone(scale)
  evening.undone(cordon)
  for (const id of [scale, cordon]) evening.journal.append({ type: 'outcome', id, state: 'done' })
  evening.journal.append({ type: 'rollback', state: 'begun', phases: ['drain'] })
  evening.undone(cordon)
  t.deepEqual(evening.way.standAgain, [])
  t.true(evening.way.changes.includes(scale))
  t.false(evening.way.changes.includes(cordon), 'undone by the rollback itself')
  t.true(evening.way.changes.includes(etcd))
})

test('what a rollback has done to the old machine is not for the next one to take back', (t) => {
  const evening = new Evening()
  evening.change('machine-config', old, 'rollback')
  evening.change('etcd', { address: old.address }, 'rollback')
  t.deepEqual(evening.way.changes, [])
})

test('a kind of undo data that nothing undoes is a bug, and is said before anything is', (t) => {
  const evening = new Evening()
  evening.change('unheard-of')
  evening.change('etcd', { address: old.address })
  t.throws(() => evening.way, { message: /nothing undoes unheard-of/ })
})

test('machines that have joined leave again, the newest first, and none of them took the place of another', (t) => {
  const evening = new Evening()
  const first = evening.change('machine-config', { address: '192.168.1.55', uuid: 'second', macs: [] }, 'join')
  const second = evening.change('machine-config', { address: '192.168.1.56', uuid: 'third', macs: [] }, 'join')
  t.like(evening.way, { joined: [second, first], old: undefined, replacement: undefined, etcd: 'none' })
  evening.undone(second)
  t.deepEqual(evening.way.joined, [first])
})
