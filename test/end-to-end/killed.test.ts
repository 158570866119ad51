import { readdirSync } from 'node:fs'
import test from 'ava'
import type { JournalRecord } from '../../lib/migration/journal.ts'
import { killWhen, memoryFolder, practise } from './on-practice-cluster.ts'

const begun = (records: JournalRecord[], what: RegExp) =>
  records.filter((one) => one.type === 'change' && what.test(one.what)).length

/** Where the run is killed, in the order in which it comes there. */
const points: { name: string; reached: (records: JournalRecord[]) => boolean }[] = [
  { name: 'while the backup is written', reached: (records) => begun(records, /^Write all objects/) > 0 },
  { name: 'in the middle of scaling down', reached: (records) => begun(records, /^Scale .* to 0$/) >= 8 },
  { name: 'while the old machine shuts down', reached: (records) => begun(records, /^Shut down /) > 0 },
  { name: 'while etcd is recovered', reached: (records) => begun(records, /^Recover etcd on /) > 0 },
  {
    name: 'in the middle of resuming',
    reached: (records) => records.filter((one) => one.type === 'outcome' && one.state === 'undone').length >= 8,
  },
]

test('a run that is killed at five points goes on each time and ends as if it never had been', async (t) => {
  const practice = await practise(t)
  const memory = memoryFolder(t)
  const command = ['migrate:run', 'SCENARIO=A', `MEMORY_DIR=${memory}`]
  for (const { name, reached } of points) {
    const running = practice.task(command)
    const pid = await Promise.race([killWhen(practice, reached), running.then(({ output }) => output)])
    if (typeof pid === 'string') return t.fail(`the run ended before it was killed ${name}:\n${pid}`)
    t.not((await running).exitCode, 0, name)
    t.log(`killed ${name}`)
  }
  const last = await practice.task(command)
  t.is(last.exitCode, 0, last.output)
  await practice.prove()
  t.deepEqual(readdirSync(memory), [], 'what the killed ones had decrypted in memory is gone')
})
