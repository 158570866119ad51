import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { OperatorError } from '../../../lib/migration/errors.ts'
import { findNebulaCert, type SigningRequest } from '../../../lib/network/nebula/nebula-cert.ts'
import { temporaryFolder } from '../../temporary-folder.ts'
import { makeAuthority, nebulaCert } from './authority.ts'

const memoryDir = '/dev/shm'
const find = (binary = nebulaCert) => findNebulaCert({ nebulaCert: binary, memoryDir })
const authority = makeAuthority('homelab', '-ips', '10.42.0.0/16', '-duration', '48h')
const talos00 = authority.host('talos00', '10.42.1.1/16', '-groups', 'homelab,k8s', '-duration', '24h')

async function request(network: string, more: Partial<SigningRequest> = {}): Promise<SigningRequest> {
  const [like] = await (await find()).print(talos00.certificate, 'the test')
  if (!like) throw new Error('no certificate')
  return {
    like,
    networks: [network],
    lifetime: 3600,
    caCertificate: authority.certificate,
    caKey: authority.key,
    ...more,
  }
}

test('a certificate tells its name, networks, groups, CA and end', async (t) => {
  const [certificate, ca] = await (await find()).print(talos00.certificate + authority.certificate, 'the test')
  t.like(certificate, { name: 'talos00', networks: ['10.42.1.1/16'], groups: ['homelab', 'k8s'], isCa: false })
  t.like(ca, { name: 'homelab', isCa: true, issuer: '' })
  t.is(certificate?.issuer, ca?.fingerprint)
  const hours = (Date.parse(certificate?.notAfter ?? '') - Date.parse(certificate?.notBefore ?? '')) / 3_600_000
  t.is(Math.round(hours), 24)
})

test('a certificate of version 2 is read from what nebula-cert 1.10 prints, and 1.9 says in a sentence that it cannot', async (t) => {
  const fixture = (name: string) =>
    readFileSync(new URL(`../../fixtures/nebula-cert-1.10.0/${name}`, import.meta.url), 'utf8')
  const folder = temporaryFolder('nebula-cert')
  const newer = join(folder, 'nebula-cert')
  const said = join(folder, 'said.json')
  writeFileSync(said, fixture('print-json.txt'))
  writeFileSync(newer, `#!/bin/sh\n[ "$1" = -version ] && exec echo 'Version: 1.10.0'\nexec cat ${said}\n`, {
    mode: 0o755,
  })
  const pem = fixture('certificate-v2.pem')
  const [ca, certificate] = await (await find(newer)).print(pem, 'the test')
  t.like(ca, { name: 'v2ca', isCa: true, networks: ['10.42.0.0/16'] })
  t.like(certificate, { name: 'talos00', networks: ['10.42.1.1/16'], groups: ['homelab'], curve: 'CURVE25519' })
  t.is(certificate?.issuer, ca?.fingerprint)
  t.regex(certificate?.publicKey ?? '', /^[0-9a-f]{64}$/)

  const older = await find()
  const error = await t.throwsAsync(older.print(pem, 'Secret nebula/certs, host.crt'), { instanceOf: OperatorError })
  t.is(
    error.what,
    'nebula-cert does not read the certificate in Secret nebula/certs, host.crt: error while unmarshaling cert: bytes contain an unsupported certificate format: NEBULA CERTIFICATE V2',
  )
  t.regex(error.next ?? '', /A certificate of version 2 needs nebula-cert 1\.10\./)
})

test('what is signed anew keeps name, groups, the networks behind it and the key', async (t) => {
  const tool = await find()
  const router = makeAuthority('site').host('router', '10.1.0.1/24', '-subnets', '192.0.2.0/24,198.51.100.0/24')
  const [like] = await tool.print(router.certificate, 'the test')
  const other = makeAuthority('site')
  if (!like) return t.fail()
  const signed = await tool.sign({
    ...{ like, networks: ['10.1.0.9/24'], lifetime: 3600 },
    ...{ caCertificate: other.certificate, caKey: other.key },
  })
  const [renewed] = await tool.print(signed, 'the test')
  t.deepEqual(renewed?.networks, ['10.1.0.9/24'])
  t.deepEqual(renewed?.unsafeNetworks, ['192.0.2.0/24', '198.51.100.0/24'])
  t.is(renewed?.publicKey, like.publicKey)
  t.is(renewed?.name, 'router')
})

test('an address outside of what the CA may sign is refused in its own words', async (t) => {
  const tool = await find()
  const error = await t.throwsAsync(tool.sign(await request('10.99.0.1/16')), { instanceOf: OperatorError })
  t.regex(error.what, /did not sign 10\.99\.0\.1\/16 for talos00: .*constraints violated/)
})

test('a key that is not of that CA signs nothing', async (t) => {
  const tool = await find()
  const wrong = await request('10.42.9.9/16', { caKey: makeAuthority('other').key })
  const error = await t.throwsAsync(tool.sign(wrong), { instanceOf: OperatorError })
  t.regex(error.what, /root certificate does not match private key/)
})

test('an expired CA signs nothing', async (t) => {
  const tool = await find()
  const ended = makeAuthority('ended', '-duration', '1s')
  const [ca] = await tool.print(ended.certificate, 'the test')
  const wait = Date.parse(ca?.notAfter ?? '') - Date.now() + 1100
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, wait)))
  const wrong = await request('10.42.9.9/16', { caCertificate: ended.certificate, caKey: ended.key })
  const error = await t.throwsAsync(tool.sign(wrong), { instanceOf: OperatorError })
  t.regex(error.what, /ca certificate is expired/)
})

test('the key is never an argument, and lies in memory only', async (t) => {
  const folder = temporaryFolder('nebula-cert')
  const log = join(folder, 'arguments')
  const witness = join(folder, 'nebula-cert')
  writeFileSync(witness, `#!/bin/sh\necho "$@" >> ${log}\nexec ${nebulaCert} "$@"\n`, { mode: 0o755 })
  await (await find(witness)).sign(await request('10.42.9.9/16'))
  const said = readFileSync(log, 'utf8')
  const key = /-ca-key (\S+)/.exec(said)?.[1] ?? ''
  t.true(key.startsWith(`${memoryDir}/talos-migrate-`), key)
  t.throws(() => readFileSync(key), { code: 'ENOENT' })
  const secret = authority.key.split('\n')[1] ?? ''
  t.true(secret.length > 40)
  t.false(said.includes(secret))
})

test('a text that is no certificate is named with where it came from', async (t) => {
  const tool = await find()
  const broken = '-----BEGIN NEBULA CERTIFICATE-----\nAAAA\n-----END NEBULA CERTIFICATE-----\n'
  const error = await t.throwsAsync(tool.print(broken, 'Secret nebula/x, host.crt'), { instanceOf: OperatorError })
  t.regex(error.what, /does not read the certificate in Secret nebula\/x, host\.crt/)
})

test('without nebula-cert it is said how to get it', async (t) => {
  const absent = await t.throwsAsync(findNebulaCert({ nebulaCert: undefined, memoryDir }, { PATH: '' }))
  t.true(absent instanceof OperatorError)
  t.regex(absent.message, /There is no nebula-cert on PATH/)
  const other = await t.throwsAsync(find('/bin/true'), { instanceOf: OperatorError })
  t.is(other.what, '/bin/true (NEBULA_CERT) is no nebula-cert that runs.')
  t.is(other.exitCode, 2)
})
