import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import type { ExecutionContext } from 'ava'
import type { Prompt } from '../../lib/migration/prompt.ts'

export interface Keys {
  recipient: string
  identityFile: string
}

/** A folder that is removed after the test. */
export async function scratchFolder(t: ExecutionContext<unknown>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'backup-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }))
  return folder
}

/** A key pair whose identity file looks as age-keygen writes it. */
export async function makeKeys(folder: string, name = 'identity.txt'): Promise<Keys> {
  const identity = await generateX25519Identity()
  const recipient = await identityToRecipient(identity)
  const identityFile = join(folder, name)
  const text = `# created: 2025-12-04T12:00:00+01:00\n# public key: ${recipient}\n${identity}\n`
  await writeFile(identityFile, text, { mode: 0o600 })
  return { recipient, identityFile }
}

export async function* chunksOf(...chunks: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk)
}

export async function whole(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** An operator at a terminal who types these answers, one after the other, and then walks away. */
export function operatorWho(...answers: string[]): Prompt & { asked: string[] } {
  const asked: string[] = []
  const left = [...answers]
  return {
    asked,
    secret: async (question) => {
      asked.push(question)
      return left.shift()
    },
    confirm: async (question) => {
      asked.push(question)
      const answer = left.shift()
      return answer === undefined ? undefined : answer === 'y'
    },
  }
}
