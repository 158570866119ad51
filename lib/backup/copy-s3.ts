import { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListMultipartUploadsCommand,
  paginateListObjectsV2,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import pMap from 'p-map'
import { messageOf, OperatorError } from '../migration/errors.ts'
import { measure, storedContent } from './archive.ts'
import { type CopiedFile, type CopyPlace, type CopySource, hashOf, untouched } from './copy-place.ts'
import { manifestFile } from './manifest.ts'

const atOnce = 8

interface Bucket {
  client: S3Client
  url: string
  bucket: string
  /** empty, or ends with a slash */
  prefix: string
}

/**
 * A place in a bucket: each backup is BUCKET/PREFIX/NAME/…, and its manifest comes last.
 * Credentials, region and endpoint are found as AWS' tools find them; with an endpoint of one's own, as of MinIO, the bucket stands in the path.
 * Source: https://docs.aws.amazon.com/AWSJavaScriptSDK/v3/latest/client/s3/, https://docs.aws.amazon.com/sdkref/latest/guide/
 * @param url s3://BUCKET or s3://BUCKET/PREFIX
 * @throws OperatorError (exit code 2) when it is no such URL
 */
export function bucketPlace(url: string, environment: Record<string, string | undefined>): CopyPlace {
  const [, bucket, path = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]+)(?:\/(.*))?$/.exec(url) ?? []
  if (bucket === undefined) {
    throw new OperatorError(`BACKUP_COPY_TO=${url} names no bucket.`, {
      next: 'Set it to s3://BUCKET/PREFIX, or to a folder.',
      exitCode: 2,
    })
  }
  // Which Node this program runs on is not the operator's to be told in the middle of a backup; the client's version is pinned.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'
  const endpoint = environment.AWS_ENDPOINT_URL_S3 ?? environment.AWS_ENDPOINT_URL
  const client = new S3Client({
    forcePathStyle: endpoint !== undefined,
    followRegionRedirects: true,
    // By itself the client waits for ever for a server that has fallen silent.
    requestHandler: { connectionTimeout: 10_000, socketTimeout: 120_000 },
    // All is read back and compared by SHA-256; the newer checksums are not known to every server that speaks S3.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  const prefix = path.replace(/^\/+|\/+$/g, '')
  const place: Bucket = { client, url, bucket, prefix: prefix === '' ? '' : `${prefix}/` }
  return {
    look: () =>
      told(place, async () => {
        await client.send(new HeadBucketCommand({ Bucket: bucket }))
        return []
      }),
    take: (source, say) => told(place, () => take(place, source, say), source),
  }
}

async function take(place: Bucket, source: CopySource, say: (path: string) => void): Promise<void> {
  const root = `${place.prefix}${source.name}/`
  const last = source.files.find(({ path }) => path === manifestFile)
  const rest = source.files.filter((file) => file !== last)
  if (last === undefined) throw new Error('a backup without a manifest is none')
  const there = await sizesBelow(place, root)
  if (there.has(root + manifestFile)) return readBack(place, root, source.files, say)
  await abortUploads(place, root)
  const bring = async (file: CopiedFile) => {
    say(file.path)
    const known = there.get(root + file.path) === file.bytes
    if (!known || (await sumOf(place, root + file.path)) !== file.sha256) await upload(place, root, source, file)
  }
  await pMap(rest, bring, { concurrency: atOnce })
  await readBack(place, root, rest, say)
  await upload(place, root, source, last)
  await readBack(place, root, [last], say)
}

async function upload({ client, bucket }: Bucket, root: string, source: CopySource, file: CopiedFile): Promise<void> {
  const read = measure()
  await new Upload({
    client,
    params: {
      Bucket: bucket,
      Key: root + file.path,
      Body: Readable.from(read.through(storedContent(source.folder, file.path))),
      Metadata: { sha256: file.sha256 },
    },
  }).done()
  if (read.sha256() === file.sha256) return
  throw new OperatorError(`${source.folder}/${file.path} has changed: its SHA-256 is not the manifest's.`, {
    means: 'The backup was whole when it was read back, and is not any more. Its copy has no manifest, and so is none.',
    next: 'Look after the disk of BACKUP_DIR, and take a new backup: task migrate:backup',
  })
}

async function readBack(place: Bucket, root: string, files: CopiedFile[], say: (path: string) => void): Promise<void> {
  const read = async (file: CopiedFile) => {
    say(`reading back ${file.path}`)
    if ((await sumOf(place, root + file.path)) !== file.sha256) throw changedThere(place, root, file)
  }
  await pMap(files, read, { concurrency: atOnce })
}

function changedThere({ bucket }: Bucket, root: string, { path }: CopiedFile): OperatorError {
  return new OperatorError(`s3://${bucket}/${root}${path} is not what was copied: its SHA-256 is not the manifest's.`, {
    means: 'Somebody or something changed it. The backup itself is whole; this copy is not one.',
    next: `A copy is never written over. Look at it, remove it (aws s3 rm --recursive s3://${bucket}/${root}), and repeat.`,
  })
}

/** Of what is there, read to its end. */
async function sumOf({ client, bucket }: Bucket, key: string): Promise<string> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }))
  return (await hashOf(Body as Readable)).sha256
}

/** Bytes of the objects below a key that ends with a slash. */
async function sizesBelow({ client, bucket }: Bucket, root: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>()
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: root })) {
    for (const { Key = '', Size = 0 } of Contents) sizes.set(Key, Size)
  }
  return sizes
}

/** What a killed call has left: parts that no listing shows, and that are paid for. A server that does not know of them has none. */
async function abortUploads({ client, bucket }: Bucket, root: string): Promise<void> {
  const { Uploads = [] } = await client
    .send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: root }))
    .catch(() => ({ Uploads: [] }))
  for (const { Key, UploadId } of Uploads) {
    await client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }))
  }
}

/** Does something with the bucket, and says what it means when that fails. */
async function told<T>({ url, bucket }: Bucket, act: () => Promise<T>, source?: CopySource): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (error instanceof OperatorError) throw error
    const { name } = error as Error
    const means = source ? `The backup ${source.folder} is whole; only the copy is missing.` : untouched
    throw new OperatorError(`The copy to ${url} (BACKUP_COPY_TO) failed: ${reasonOf(error, bucket)}`, {
      means,
      next: `${wayOut(name, statusOf(error))} The same command goes on where it stopped.`,
      cause: error,
    })
  }
}

const statusOf = (error: unknown) => (error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined)

function reasonOf(error: unknown, bucket: string): string {
  const status = statusOf(error)
  // What answers HEAD has no body, and so no message.
  if (status === 404) return `there is no bucket ${bucket}.`
  if (status === 403) return `access to the bucket ${bucket} is denied.`
  const { name } = error as Error
  return name === 'Error' ? messageOf(error) : `${messageOf(error)} (${name})`
}

function wayOut(name: string, status: number | undefined): string {
  if (name === 'CredentialsProviderError') {
    return 'Give credentials as for the aws command: AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.'
  }
  if (status === 403)
    return 'The credentials need s3:ListBucket, s3:GetObject, s3:PutObject and s3:AbortMultipartUpload there.'
  if (status === 404) return 'Make the bucket, or correct BACKUP_COPY_TO.'
  return 'Check AWS_REGION, AWS_ENDPOINT_URL_S3 and the connection.'
}
