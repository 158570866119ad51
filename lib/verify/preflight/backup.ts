import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { access, constants, readFile, stat, statfs } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { Decrypter, Encrypter } from 'age-encryption'
import { messageOf, OperatorError } from '../../migration/errors.ts'
import { assertInMemory } from '../../migration/memory-folder.ts'
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
  name: 'BACKUP_DIR can be written to and is safe from a clean',
  run: async ({ settings }) => {
    const folder = await nearestExisting(settings.backupDir)
    const inside = relative(join(settings.homelabDir, '.output'), settings.backupDir)
    const finding = (evidence: string, severity: Finding['severity'], wayOut: string): Finding => ({
      subject: settings.backupDir,
      evidence,
      severity,
      wayOut,
    })
    const writable = await access(folder, constants.W_OK).then(
      () => true,
      () => false,
    )
    const { bavail, bsize } = await statfs(folder)
    const free = bavail * bsize
    return [
      ...(writable ? [] : [finding(`${folder} cannot be written to`, 'error', 'Set BACKUP_DIR to a folder of yours.')]),
      ...(inside !== '..' && !inside.startsWith(`..${sep}`)
        ? [
            finding(
              'it lies in .output, which `task clean` removes',
              'warning',
              'Set BACKUP_DIR to a folder outside, best on a NAS.',
            ),
          ]
        : []),
      ...(free >= roomBytes
        ? []
        : [finding(`only ${Math.round(free / 1e6)} MB are free`, 'error', 'Make room: 2 GB are on the safe side.')]),
    ]
  },
}

const backupLeavesTheMachine: PreflightCheck = {
  name: 'BACKUP_DIR is not on the disk of this homelab alone',
  run: async ({ settings }) => {
    const [backup, homelab] = await Promise.all([
      stat(await nearestExisting(settings.backupDir)),
      stat(await nearestExisting(settings.homelabDir)),
    ])
    if (backup.dev !== homelab.dev) return []
    return [
      {
        subject: settings.backupDir,
        evidence: 'it is on the same disk as the configs that it saves',
        severity: 'warning',
        wayOut: 'Copy it to another machine (not the one that is replaced) before the shutdown.',
      },
    ]
  },
}

const memoryIsMemory: PreflightCheck = {
  name: 'MEMORY_DIR is held in memory',
  run: async ({ settings }) => {
    await assertInMemory(settings.memoryDir)
    return []
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

async function nearestExisting(path: string): Promise<string> {
  const found = await stat(path).catch(() => null)
  return found?.isDirectory() || dirname(path) === path ? path : nearestExisting(dirname(path))
}

/** Where the backup goes, and whether it can be opened again. */
export const backupChecks: readonly PreflightCheck[] = [
  keysOpenWhatTheyClose,
  backupFolderIsUsable,
  backupLeavesTheMachine,
  memoryIsMemory,
]
