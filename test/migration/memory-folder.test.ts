import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { OperatorError } from '../../lib/migration/errors.ts'
import { assertInMemory, removeLeftOvers, withMemoryFolder } from '../../lib/migration/memory-folder.ts'

const onLinux = process.platform === 'linux' ? test : test.skip

async function inMemory(use: (memoryDir: string) => Promise<void>): Promise<void> {
  const memoryDir = await mkdtemp('/dev/shm/memory-folder-test-')
  try {
    await use(memoryDir)
  } finally {
    await rm(memoryDir, { recursive: true, maxRetries: 10 })
  }
}

onLinux('the folder is for its owner alone, and gone afterwards', async (t) => {
  await inMemory(async (memoryDir) => {
    const seen = await withMemoryFolder({ memoryDir }, async (folder) => {
      t.is((await stat(folder)).mode & 0o777, 0o700)
      await writeFile(join(folder, 'etcd.snapshot'), 'plain')
      return folder
    })
    t.false(existsSync(seen))
    t.deepEqual(await readdir(memoryDir), [])
  })
})

onLinux('it is gone after an error too', async (t) => {
  await inMemory(async (memoryDir) => {
    const failing = withMemoryFolder({ memoryDir }, async () => {
      throw new Error('midway')
    })
    await t.throwsAsync(failing, { message: 'midway' })
    t.deepEqual(await readdir(memoryDir), [])
  })
})

onLinux('a folder on a disk is refused, and nothing is written there', async (t) => {
  const memoryDir = await mkdtemp(join(tmpdir(), 'memory-folder-test-'))
  const isDisk = await assertInMemory(memoryDir).then(
    () => false,
    () => true,
  )
  if (isDisk) {
    const use = withMemoryFolder({ memoryDir }, async () => t.fail())
    await t.throwsAsync(use, { instanceOf: OperatorError, message: /lies on a disk/ })
    t.deepEqual(await readdir(memoryDir), [])
  } else {
    t.log(`${tmpdir()} is in memory on this machine`)
    await t.throwsAsync(assertInMemory('/'), { instanceOf: OperatorError })
  }
  await rm(memoryDir, { recursive: true, maxRetries: 10 })
})

test('a folder that is not there is refused by name', async (t) => {
  await t.throwsAsync(assertInMemory('/nowhere'), { instanceOf: OperatorError, message: /\/nowhere \(MEMORY_DIR\)/ })
})

onLinux('what a dead process has left is removed; what a living one uses, and what is not ours, stays', async (t) => {
  await inMemory(async (memoryDir) => {
    const dead = spawn('true')
    await new Promise((done) => dead.once('exit', done))
    await mkdir(join(memoryDir, `talos-migrate-${dead.pid}-123-abcd`))
    // The pid is in use again, but by a process that was started at another time.
    await mkdir(join(memoryDir, `talos-migrate-${process.pid}-1-abcd`))
    await mkdir(join(memoryDir, 'somebody-elses'))
    await withMemoryFolder({ memoryDir }, async (first) => {
      await withMemoryFolder({ memoryDir }, async (second) => {
        t.deepEqual(
          (await readdir(memoryDir)).map((name) => join(memoryDir, name)).sort(),
          [first, second, join(memoryDir, 'somebody-elses')].sort(),
        )
      })
    })
    t.deepEqual(await readdir(memoryDir), ['somebody-elses'])
  })
})

onLinux('what a killed run has left running on its folder is ended', async (t) => {
  await inMemory(async (memoryDir) => {
    const dead = spawn('true')
    await new Promise((done) => dead.once('exit', done))
    const leftOver = join(memoryDir, `talos-migrate-${dead.pid}-123-abcd`)
    await mkdir(leftOver)
    await writeFile(join(leftOver, 'etcd.snapshot'), 'plain')
    const user = spawn('tail', ['-f', join(leftOver, 'etcd.snapshot')])
    const other = spawn('tail', ['-f', '/dev/null'])
    const ended = new Promise((done) => user.once('exit', (_code, signal) => done(signal)))
    await new Promise((done) => user.stdout.once('data', done))
    removeLeftOvers({ memoryDir })
    t.is(await ended, 'SIGKILL')
    t.is(other.exitCode, null)
    other.kill()
    t.deepEqual(await readdir(memoryDir), [])
  })
})
