import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { access, constants, readFile } from 'node:fs/promises'
import { Decrypter, Encrypter } from 'age-encryption'
import { openCopyPlace } from '../../backup/copy.ts'
import { estimateBackup, placeWarnings } from '../../backup/destination.ts'
import { freeBytes, nearestExisting } from '../../backup/disk.ts'
import { describeDanger, findDangers } from '../../backup/endangered.ts'
import { formatBytes } from '../../migration/console/bytes.ts'
import { messageOf, OperatorError } from '../../migration/errors.ts'
import { assertInMemory } from '../../migration/memory-folder.ts'
import { databaseBytes } from '../../talos/etcd.ts'
import type { Finding } from '../check.ts'
import type { PreflightCheck } from './context.ts'

const roomBytes = 2 * 1024 ** 3

const keysOpenWhatTheyClose: PreflightCheck = {
  name: 'AGE_IDENTITY_FILE opens what AGE_RECIPIENTS close',
  run: async ({ settings }) => {
    const { ageIdentityFile } = settings
    const ageRecipients = settings.ageRecipients.filter((recipient) => recipient !== 'passphrase')
    const hasPassphrase = ageRecipients.length < settings.ageRecipients.length
    // A passphrase is in nobody's file: migrate:backup and migrate:provision ask for it.
    if (hasPassphrase && !existsSync(ageIdentityFile ?? '')) return []
    if (ageIdentityFile === undefined) {
      return [
        {
          subject: 'AGE_IDENTITY_FILE',
          evidence: 'it is not set, so nobody has shown that the backup can be opened, and provision cannot open it',
          severity: 'error',
          wayOut: 'Set AGE_IDENTITY_FILE to the file that age-keygen wrote, on this machine, for this evening.',
        },
      ]
    }
    const text = await readFile(ageIdentityFile, 'utf8').catch((error: unknown) => {
      throw new OperatorError(`AGE_IDENTITY_FILE cannot be read: ${messageOf(error)}`, { cause: error })
    })
    if (/^(age-encryption\.org\/|-----BEGIN AGE)/.test(text)) return []
    const lines = text.split('\n').map((line) => line.trim())
    const identities = lines.filter((line) => line !== '' && !line.startsWith('#'))
    return (await opens(ageRecipients, identities)) ? [] : [keysDiffer(ageIdentityFile)]
  },
}

const backupFolderIsUsable: PreflightCheck = {
  name: 'BACKUP_DIR can be written to, and has room',
  run: async ({ settings }) => {
    const folder = await nearestExisting(settings.backupDir)
    const writable = await access(folder, constants.W_OK).then(
      () => true,
      () => false,
    )
    const estimate = (await estimateBackup(settings, undefined)) ?? { bytes: roomBytes, basis: 'experience' }
    const free = await freeBytes(folder)
    const about = { subject: settings.backupDir }
    return [
      ...(writable
        ? []
        : [
            {
              ...about,
              evidence: `${folder} cannot be written to`,
              severity: 'error' as const,
              wayOut: 'Set BACKUP_DIR to a folder of yours.',
            },
          ]),
      ...(free === undefined || free >= estimate.bytes
        ? []
        : [
            {
              ...about,
              evidence: `only ${formatBytes(free)} are free; by ${estimate.basis} a backup needs ${formatBytes(estimate.bytes)}`,
              severity: free === 0 ? ('error' as const) : ('warning' as const),
              wayOut: 'Make room there, or set BACKUP_DIR to another disk.',
            },
          ]),
    ]
  },
}

const nothingCleansThemAway: PreflightCheck = {
  name: "No clean task of the homelab removes backups, the run's journal or the identity",
  run: async ({ settings }) =>
    (await findDangers(settings)).map((danger) => ({
      subject: danger.things.map(({ variable }) => variable).join(', '),
      evidence: describeDanger(danger),
      severity: 'warning',
      wayOut: 'Set it to a place outside, best on a NAS; or do not run that task until all is done.',
    })),
}

const backupLeavesTheMachine: PreflightCheck = {
  name: 'BACKUP_DIR is not on the disk of this homelab alone',
  run: async ({ settings }) =>
    (await placeWarnings(settings)).map((evidence) => ({
      subject: settings.backupDir,
      evidence,
      severity: 'warning',
      wayOut: 'Set BACKUP_COPY_TO, or copy it to another machine (not the one that is replaced) before the shutdown.',
    })),
}

const copyHasAPlace: PreflightCheck = {
  name: 'BACKUP_COPY_TO can take a copy',
  run: async ({ settings }) => {
    const { backupCopyTo } = settings
    if (backupCopyTo === undefined) return []
    const warnings = await (await openCopyPlace(settings, backupCopyTo)).look()
    return warnings.map((evidence) => ({
      subject: backupCopyTo,
      evidence,
      severity: 'warning',
      wayOut: 'Set BACKUP_COPY_TO to a place on another machine.',
    }))
  },
}

const memoryIsMemory: PreflightCheck = {
  name: 'MEMORY_DIR is held in memory',
  run: async ({ settings }) => {
    await assertInMemory(settings.memoryDir)
    return []
  },
}

const snapshotHasRoom: PreflightCheck = {
  name: 'MEMORY_DIR has room for the etcd snapshot',
  run: async (context) => {
    const { memoryDir } = context.settings
    const [needed, free] = await Promise.all([
      databaseBytes(await context.machine(), context.target),
      freeBytes(memoryDir),
    ])
    if (needed === undefined || free === undefined || free >= needed) return []
    return [
      {
        subject: memoryDir,
        evidence: `${formatBytes(free)} are free, and etcd's database has ${formatBytes(needed)}`,
        severity: 'error',
        wayOut: `Set MEMORY_DIR to a larger tmpfs, or enlarge it: mount -o remount,size=${Math.ceil((needed * 1.5) / 1e6)}M ${memoryDir}`,
      },
    ]
  },
}

/** Encrypts a random text and opens it again, in memory. */
async function opens(recipients: readonly string[], identities: readonly string[]): Promise<boolean> {
  const encrypter = new Encrypter()
  for (const recipient of recipients) encrypter.addRecipient(recipient)
  const decrypter = new Decrypter()
  for (const identity of identities) {
    try {
      decrypter.addIdentity(identity)
    } catch {
      // The library's message may quote the key.
      throw new OperatorError('AGE_IDENTITY_FILE holds a line that is no age identity.', {
        next: 'Set AGE_IDENTITY_FILE to the file that age-keygen wrote.',
      })
    }
  }
  const secret = randomBytes(16).toString('hex')
  const closed = await encrypter.encrypt(secret)
  return decrypter.decrypt(closed, 'text').then(
    (opened) => opened === secret,
    (error: unknown) => {
      if (messageOf(error).includes('no identity matched')) return false
      throw error
    },
  )
}

function keysDiffer(file: string): Finding {
  return {
    subject: file,
    evidence: 'none of its identities opens what is encrypted to AGE_RECIPIENTS',
    severity: 'error',
    wayOut: 'age-keygen -y FILE prints the recipient that belongs to an identity: set AGE_RECIPIENTS to it.',
  }
}

/** Where the backup goes, and whether it can be opened again. */
export const backupChecks: readonly PreflightCheck[] = [
  keysOpenWhatTheyClose,
  backupFolderIsUsable,
  nothingCleansThemAway,
  backupLeavesTheMachine,
  copyHasAPlace,
  memoryIsMemory,
  snapshotHasRoom,
]
