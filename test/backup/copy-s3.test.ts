import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import test, { type ExecutionContext } from 'ava'
import { copySource } from '../../lib/backup/copy.ts'
import { bucketPlace } from '../../lib/backup/copy-s3.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { seeded } from '../seeded.ts'
import { bucketServer } from './bucket-server.ts'
import { makeKeys, scratchFolder, whole } from './keys.ts'
import { makeBackup } from './make-backup.ts'

const Bucket = 'backups'
const program = fileURLToPath(new URL('programs/copy-to-bucket.ts', import.meta.url))
const silent = () => undefined

async function prepare(t: ExecutionContext) {
  const server = await bucketServer(t, Bucket)
  Object.assign(process.env, server.environment)
  const scratch = await scratchFolder(t)
  const { recipient } = await makeKeys(scratch)
  // More than one part of a multipart upload.
  const at = new Date('2025-12-04T20:00:00Z')
  const folder = await makeBackup({ backupDir: join(scratch, 'b'), recipient, at, noise: 6_000_000 })
  const source = await copySource(folder)
  const keys = async () => {
    const { Contents = [] } = await server.client.send(new ListObjectsV2Command({ Bucket }))
    return Contents.map(({ Key }) => Key ?? '').sort()
  }
  const content = async (Key: string) => {
    const { Body } = await server.client.send(new GetObjectCommand({ Bucket, Key }))
    return whole(Body as AsyncIterable<Uint8Array>)
  }
  return { ...server, folder, source, keys, content, place: (url: string) => bucketPlace(url, process.env) }
}

// One server, and process.env leads to it: one after the other.
test.serial('a copy in a bucket has the same bytes under PREFIX/NAME/', async (t) => {
  const { folder, source, keys, content, place } = await prepare(t)
  const there = place(`s3://${Bucket}/homelab/talos/`)
  t.deepEqual(await there.look(), [])
  await there.take(source, silent)
  const root = `homelab/talos/${source.name}/`
  t.deepEqual(await keys(), source.files.map(({ path }) => root + path).sort())
  for (const { path } of source.files)
    t.true((await content(root + path)).equals(readFileSync(join(folder, path))), path)
  await there.take(source, silent)
})

test.serial('a copy that is interrupted at any file has no manifest, and is taken up again', async (t) => {
  const { source, keys, place } = await prepare(t)
  const there = place(`s3://${Bucket}`)
  const uploads = source.files.length - 1
  for (let stop = 0; stop < uploads * 2; stop++) {
    let told = 0
    const killed = there.take(source, () => {
      if (told++ === stop) throw new Error('killed')
    })
    await t.throwsAsync(killed, { message: /killed/ })
    t.false((await keys()).includes(`${source.name}/manifest.json`), `stopped at ${stop}`)
  }
  await there.take(source, silent)
  t.true((await keys()).includes(`${source.name}/manifest.json`))
})

test.serial('a process that is killed while it copies leaves no whole copy, and the next one ends it', async (t) => {
  const { folder, source, keys, content, client } = await prepare(t)
  const random = seeded(7)
  const run = (killAfter: number) =>
    new Promise<string>((resolve) => {
      const args = ['--import=tsx', program, folder, `s3://${Bucket}/killed`]
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      let said = ''
      child.stdout.on('data', (text) => {
        said += String(text)
        if (said.split('\n').length > killAfter) child.kill('SIGKILL')
      })
      child.on('close', () => resolve(said))
    })
  for (let kill = 1; kill <= 4; kill++) {
    const said = await run(1 + Math.floor(random() * source.files.length))
    t.notRegex(said, /copied/)
    t.false((await keys()).includes(`killed/${source.name}/manifest.json`))
  }
  t.regex(await run(Number.POSITIVE_INFINITY), /copied/)
  for (const { path } of source.files) {
    t.true((await content(`killed/${source.name}/${path}`)).equals(readFileSync(join(folder, path))), path)
  }
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }))
  t.deepEqual(Uploads, [])
})

test.serial('what a killed upload has left of its parts is removed', async (t) => {
  const { client, source, place } = await prepare(t)
  await client.send(new CreateMultipartUploadCommand({ Bucket, Key: `${source.name}/noise.age` }))
  await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'somebody/elses' }))
  await place(`s3://${Bucket}`).take(source, silent)
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }))
  t.deepEqual(
    Uploads.map(({ Key }) => Key),
    ['somebody/elses'],
  )
})

test.serial(
  'a copy of other bytes is found when it is read back; an unfinished one is written anew, a whole one never',
  async (t) => {
    const { client, source, place } = await prepare(t)
    const there = place(`s3://${Bucket}`)
    const Key = `${source.name}/baseline.json`
    await client.send(new PutObjectCommand({ Bucket, Key, Body: '[]\n' }))
    await there.take(source, silent)
    await client.send(new PutObjectCommand({ Bucket, Key, Body: '[]\n' }))
    const error = await t.throwsAsync(there.take(source, silent), { instanceOf: OperatorError })
    t.regex(error.what, /baseline\.json is not what was copied/)
    t.regex(error.next ?? '', /never written over/)
  },
)

test.serial(
  'no bucket, no credentials, nobody there: each says what to do, and that the backup is whole',
  async (t) => {
    const { source, place } = await prepare(t)
    const failure = async (url: string) => {
      const error = await t.throwsAsync(place(url).take(source, silent), { instanceOf: OperatorError })
      t.regex(error.means ?? '', /is whole; only the copy is missing/)
      return `${error.what} ${error.next}`
    }
    const looked = await t.throwsAsync(place('s3://absent').look(), { instanceOf: OperatorError })
    t.regex(looked.what, /there is no bucket absent/)
    t.regex(await failure('s3://absent'), /Make the bucket, or correct BACKUP_COPY_TO/)
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) delete process.env[name]
    process.env.AWS_SHARED_CREDENTIALS_FILE = '/nowhere'
    process.env.AWS_CONFIG_FILE = '/nowhere'
    t.regex(await failure(`s3://${Bucket}`), /AWS_PROFILE, or AWS_ACCESS_KEY_ID/)
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', AWS_MAX_ATTEMPTS: '1' })
    process.env.AWS_ENDPOINT_URL_S3 = 'http://127.0.0.1:9'
    t.regex(await failure(`s3://${Bucket}`), /ECONNREFUSED.*AWS_ENDPOINT_URL_S3/)
  },
)

test('what is no URL of a bucket is wrong usage', (t) => {
  const error = t.throws(() => bucketPlace('s3://', {}), { instanceOf: OperatorError })
  t.is(error.exitCode, 2)
})
