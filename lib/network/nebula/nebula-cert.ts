import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { messageOf, OperatorError } from '../../migration/errors.ts'
import { findOnPath, isExecutable, runToItsEnd } from '../../migration/executables.ts'
import { withMemoryFolder } from '../../migration/memory-folder.ts'
import type { Settings } from '../../settings.ts'

/** What a certificate says. Networks are ADDRESS/BITS, times ISO 8601. */
export interface NebulaCertificate {
  readonly name: string
  readonly networks: readonly string[]
  /** networks behind the host, which Nebula calls unsafe */
  readonly unsafeNetworks: readonly string[]
  readonly groups: readonly string[]
  readonly isCa: boolean
  /** fingerprint of the CA that signed it; '' for a CA */
  readonly issuer: string
  readonly fingerprint: string
  readonly notBefore: string
  readonly notAfter: string
  /** hex */
  readonly publicKey: string
  readonly curve: 'CURVE25519' | 'P256'
}

/** A certificate to be signed for a key that is there already: its public half is in the certificate that it takes the place of. */
export interface SigningRequest {
  /** the certificate that it takes the place of: name, groups, networks behind it and key stay */
  readonly like: NebulaCertificate
  /** those of a certificate of version 2 may be several */
  readonly networks: readonly string[]
  /** seconds */
  readonly lifetime: number
  /** PEM */
  readonly caCertificate: string
  readonly caKey: string
}

/** Nebula's own tool for certificates. */
export interface NebulaCert {
  readonly version: string
  /** The certificates of a PEM text, in its order. @throws OperatorError when it cannot be read */
  print(pem: string, origin: string): Promise<NebulaCertificate[]>
  /** @returns the certificate, PEM. @throws OperatorError with the tool's own reason when it refuses */
  sign(request: SigningRequest): Promise<string>
}

const texts = z
  .array(z.string())
  .nullish()
  .transform((list) => list ?? [])

const curve = z.enum(['CURVE25519', 'P256'])

// 1.9 says ips and subnets, 1.10 networks and unsafeNetworks; of a certificate of version 2 the key stands outside of the details.
const printed = z.object({
  fingerprint: z.string(),
  publicKey: z.string().optional(),
  curve: curve.optional(),
  details: z.object({
    name: z.string(),
    ips: texts,
    networks: texts,
    subnets: texts,
    unsafeNetworks: texts,
    groups: texts,
    isCa: z.boolean(),
    issuer: z.string(),
    notBefore: z.string(),
    notAfter: z.string(),
    publicKey: z.string().optional(),
    curve: curve.optional(),
  }),
})

const deadlineSeconds = 30
const banners = { CURVE25519: 'NEBULA X25519 PUBLIC KEY', P256: 'NEBULA P256 PUBLIC KEY' } as const

/**
 * Finds nebula-cert (settings.nebulaCert, else PATH). What it reads lies in MEMORY_DIR while it runs, and keys are never among its arguments.
 * Source: https://nebula.defined.net/docs/guides/quick-start/ , `nebula-cert -help`
 * @throws OperatorError when it is absent, or what NEBULA_CERT names does not work
 */
export async function findNebulaCert(
  settings: Pick<Settings, 'nebulaCert' | 'memoryDir'>,
  environment: Record<string, string | undefined> = process.env,
): Promise<NebulaCert> {
  const binary = settings.nebulaCert ?? (await findOnPath('nebula-cert', environment.PATH ?? ''))
  if (binary === undefined || !(await isExecutable(binary))) throw absent(binary)
  const { stdout, exitCode } = await runToItsEnd(binary, ['-version'], deadlineSeconds)
  const version = /^Version: (\S+)/m.exec(stdout)?.[1]
  if (exitCode !== 0 || version === undefined) throw absent(binary)
  return {
    version,
    print: (pem, origin) => withMemoryFolder(settings, (folder) => print(binary, folder, pem, origin)),
    sign: (request) => withMemoryFolder(settings, (folder) => sign(binary, folder, request)),
  }
}

async function print(binary: string, folder: string, pem: string, origin: string): Promise<NebulaCertificate[]> {
  const path = join(folder, 'certificates.pem')
  await writeFile(path, pem, { mode: 0o600 })
  const { stdout, stderr, exitCode } = await runToItsEnd(binary, ['print', '-json', '-path', path], deadlineSeconds)
  try {
    if (exitCode !== 0) throw new Error(reasonIn(stdout, stderr, exitCode))
    const values = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
    return values.flat().map((value) => certificateOf(printed.parse(value)))
  } catch (error) {
    throw new OperatorError(`nebula-cert does not read the certificate in ${origin}: ${messageOf(error)}`, {
      means: 'Whom it is for, and until when, is not known.',
      next: 'Look at it: nebula-cert print -path FILE. A certificate of version 2 needs nebula-cert 1.10.',
      cause: error,
    })
  }
}

function certificateOf({ fingerprint, details, ...outside }: z.output<typeof printed>): NebulaCertificate {
  const {
    ips,
    networks,
    subnets,
    unsafeNetworks,
    publicKey = outside.publicKey,
    curve = outside.curve,
    ...rest
  } = details
  if (publicKey === undefined) throw new Error('it does not tell the public key')
  return {
    ...{ ...rest, fingerprint, publicKey, curve: curve ?? 'CURVE25519' },
    ...{ networks: [...ips, ...networks], unsafeNetworks: [...subnets, ...unsafeNetworks] },
  }
}

async function sign(binary: string, folder: string, request: SigningRequest): Promise<string> {
  const { like, networks, lifetime, caCertificate, caKey } = request
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  const signed = join(folder, 'host.crt')
  const { stdout, stderr, exitCode } = await runToItsEnd(
    binary,
    [
      'sign',
      ...['-ca-crt', await file('ca.crt', caCertificate), '-ca-key', await file('ca.key', caKey)],
      ...['-in-pub', await file('host.pub', publicKeyPem(like)), '-out-crt', signed],
      ...['-name', like.name, '-ip', networks.join(','), '-duration', `${Math.floor(lifetime)}s`],
      ...(like.groups.length > 0 ? ['-groups', like.groups.join(',')] : []),
      ...(like.unsafeNetworks.length > 0 ? ['-subnets', like.unsafeNetworks.join(',')] : []),
    ],
    deadlineSeconds,
  )
  if (exitCode === 0) return readFile(signed, 'utf8')
  throw new OperatorError(
    `nebula-cert did not sign ${networks.join(', ')} for ${like.name}: ${reasonIn(stdout, stderr, exitCode)}`,
    {
      means: 'The mesh is as it was: no certificate was exchanged.',
      next: 'Correct NEW_MESH_ADDRESS, NEBULA_CA_CERT or NEBULA_CA_KEY; then the same command again.',
    },
  )
}

function publicKeyPem({ publicKey, curve }: NebulaCertificate): string {
  const base64 = Buffer.from(publicKey, 'hex').toString('base64')
  return `-----BEGIN ${banners[curve]}-----\n${base64}\n-----END ${banners[curve]}-----\n`
}

function reasonIn(stdout: string, stderr: string, exitCode: number | null): string {
  const said = `${stderr}\n${stdout}`.split('\n').find((line) => line.trim() !== '')
  return said?.replace(/^Error: /, '').trim() ?? `exit code ${exitCode}`
}

function absent(binary: string | undefined): OperatorError {
  const what =
    binary === undefined ? 'There is no nebula-cert on PATH.' : `${binary} (NEBULA_CERT) is no nebula-cert that runs.`
  return new OperatorError(what, {
    means: 'Nebula runs in this cluster, and its certificates cannot be read or signed without its own tool.',
    next: 'Install it (https://github.com/slackhq/nebula/releases), or set NEBULA_CERT to its path.',
    exitCode: 2,
  })
}
