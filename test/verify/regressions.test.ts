import { spawn } from 'node:child_process'
import { once } from 'node:events'
import test from 'ava'
import { OperatorError } from '../../lib/migration/errors.ts'
import type { NamedFinding } from '../../lib/verify/comparison.ts'
import { failOnNewlyBroken } from '../../lib/verify/show.ts'
import { until } from '../kubernetes/bare-cluster.ts'
import { healthyMachine } from './preflight/fake-machines.ts'
import { oldFaults, on } from './regressions/judged-cluster.ts'
import { JudgedHomelab, type Regression, status } from './regressions/judged-homelab.ts'
import { ofStorageAndGitops } from './regressions/of-storage-and-gitops.ts'
import { ofTheCore } from './regressions/of-the-core.ts'
import { ofTheOutside } from './regressions/of-the-outside.ts'

const program = new URL('../../scripts/verify.ts', import.meta.url).pathname
/** A process of its own has to start first, on a machine that may have much to do. */
const patienceSeconds = 300
let home: JudgedHomelab

const regressions = [...ofTheCore, ...ofStorageAndGitops, ...ofTheOutside]
const names = (findings: readonly NamedFinding[]) => findings.map(({ check, subject }) => `${check}: ${subject}`).sort()
const expected = (all: readonly Regression[]) =>
  all.flatMap(({ found }) => found.map(([check, subject]) => `${check}: ${subject}`))

test.before(async () => {
  home = await JudgedHomelab.make()
})

test.after.always(() => home?.destroy())

test.serial('a homelab that is as it was has ten old faults, and nothing new', async (t) => {
  const { newlyBroken, brokenBefore, warnings, healed, appeared, notChecked, fine } = await home.look()
  t.is(oldFaults.length, 10)
  t.deepEqual([newlyBroken, warnings, healed, appeared, notChecked], [[], [], [], [], []])
  t.deepEqual(names(brokenBefore), oldFaults.toSorted())
  t.true(fine.length > 20)
})

for (const { what, breaks, found } of regressions) {
  test.serial(`newly broken, with nothing besides: ${what}`, async (t) => {
    const mend = await breaks(home)
    try {
      const { newlyBroken, brokenBefore, fine } = await home.look()
      t.deepEqual(names(newlyBroken), found.map(([check, subject]) => `${check}: ${subject}`).toSorted())
      t.deepEqual(names(brokenBefore), oldFaults.toSorted())
      t.false(found.some(([check]) => fine.includes(check)))
      for (const { evidence, wayOut } of newlyBroken) t.true(evidence !== '' && wayOut !== '')
    } finally {
      await mend()
    }
  })
}

test.serial('all at once: each is in its list, and verify fails', async (t) => {
  // One cannot both be gone and not start.
  const together = regressions.filter(({ what }) => what !== 'a pod of nobody that does not start')
  t.true(together.length >= 30)
  const mends = []
  for (const { breaks } of together) mends.push(await breaks(home))
  const seen = await home.look()
  t.deepEqual(names(seen.brokenBefore), oldFaults.toSorted())
  const found = new Set(expected(together))
  t.deepEqual([...new Set(names(seen.newlyBroken))], [...found].sort())
  const error = t.throws(() => failOnNewlyBroken(seen), { instanceOf: OperatorError })
  t.is(error?.exitCode, 1)
  for (const mend of mends.reverse()) await mend()
})

test.serial(
  'verify --watch tells in a pipe what changes, and ends on Ctrl-C with 130 and what was seen last',
  async (t) => {
    const address = '127.0.7.54'
    healthyMachine(home.homelab.machines, address)
    const child = spawn(process.execPath, ['--import=tsx', program, '--watch'], {
      env: { ...process.env, ...home.homelab.environment, TALOS_NODE: address, MESH_PEERS: '' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.teardown(() => void child.kill('SIGKILL'))
    let said = ''
    child.stdout.on('data', (text) => {
      said += String(text)
    })
    await until('it has looked', async () => /newly broken · /.test(said), patienceSeconds)
    const mend = await status(on.stuck, { readyReplicas: 0 })(home)
    await until('it has seen the change', async () =>
      /broken: Workloads are ready: Deployment default.stuck/.test(said),
    )
    child.kill('SIGINT')
    const [code] = await once(child, 'close')
    await mend()
    t.is(code, 130)
    t.regex(said, /Newly broken \(\d+\)[\s\S]*Deployment default.stuck[\s\S]*== verify: interrupted/)
  },
)

test.serial('each of them could be mended', async (t) => {
  const { newlyBroken, brokenBefore } = await home.look()
  t.deepEqual([newlyBroken, names(brokenBefore)], [[], oldFaults.toSorted()])
})
