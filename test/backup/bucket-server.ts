import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import type { ExecutionContext } from 'ava'
import { catalogue } from '../../lib/rehearsal/binaries/catalogue.ts'
import { ensureTools } from '../../lib/rehearsal/binaries.ts'

const tools = await ensureTools(catalogue(['moto_server']), { progress: { info: () => {} } as never })

/** A server on loopback that speaks S3 (moto's), and what a process needs to be led to it. */
export interface BucketServer {
  client: S3Client
  environment: Record<string, string>
}

/** Starts moto's server, which speaks for AWS on loopback; it is gone when the test ends. @returns its URL, once it answers */
export async function motoServer(t: Pick<ExecutionContext<unknown>, 'teardown'>): Promise<string> {
  const port = await freePort()
  const child = spawn(tools.get('moto_server')?.path ?? '', ['--host', '127.0.0.1', '--port', String(port)], {
    stdio: 'ignore',
  })
  const gone = new Promise((resolve) => child.once('exit', resolve))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await gone
  })
  const url = `http://127.0.0.1:${port}`
  for (let attempt = 1; ; attempt++) {
    try {
      await (await fetch(`${url}/moto-api/`)).arrayBuffer()
      return url
    } catch (error) {
      if (attempt === 600 || child.exitCode !== null) throw error
      await delay(100)
    }
  }
}

/** Starts it with one empty bucket. */
export async function bucketServer(t: ExecutionContext<unknown>, bucket: string): Promise<BucketServer> {
  const environment = {
    AWS_ENDPOINT_URL_S3: await motoServer(t),
    AWS_ACCESS_KEY_ID: 'practice',
    AWS_SECRET_ACCESS_KEY: 'practice',
    AWS_REGION: 'us-east-1',
    AWS_EC2_METADATA_DISABLED: 'true',
  }
  const credentials = { accessKeyId: 'practice', secretAccessKey: 'practice' }
  const client = new S3Client({
    endpoint: environment.AWS_ENDPOINT_URL_S3,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials,
  })
  t.teardown(() => client.destroy())
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  return { client, environment }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
