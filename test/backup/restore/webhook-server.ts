import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { scratchFolder } from '../keys.ts'

interface Review {
  request: { uid: string }
}

/** An admission webhook on loopback that allows everything, once it answers at all. */
export async function serveWebhook(t: ExecutionContext<unknown>) {
  const folder = await scratchFolder(t)
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const subject = ['-subj', '/CN=webhook', '-addext', 'subjectAltName=IP:127.0.0.1']
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, ...subject],
    {
      stdio: 'ignore',
    },
  )
  let failing = Number.POSITIVE_INFINITY
  const server = createServer(
    { key: readFileSync(key), cert: readFileSync(certificate) },
    async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      if (failing-- > 0) return void response.writeHead(500).end()
      const { uid } = (JSON.parse(body) as Review).request
      const review = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid, allowed: true } }
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(review))
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise<void>((resolve) => server.close(() => resolve()).closeAllConnections()))
  return {
    clientConfig: {
      url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      caBundle: readFileSync(certificate).toString('base64'),
    },
    /** So many requests fail from now on, and all after them are answered. */
    failNext: (count: number) => {
      failing = count
    },
  }
}
