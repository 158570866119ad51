import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { applyPatch, reversePatch, type StructuredPatch, structuredPatch } from 'diff'
import { quote } from 'shell-quote'
import writeFileAtomic from 'write-file-atomic'
import * as z from 'zod'
import { announceCommand } from '../migration/calls.ts'
import { messageOf, OperatorError } from '../migration/errors.ts'
import type { JournaledChange, Migration, Undone } from '../migration/migration.ts'
import { replaceFile } from '../migration/operator-files.ts'
import type { Move } from './addresses.ts'
import { type MovedLine, movedHosts } from './hosts-file.ts'

export const hostsUndoKind = 'hosts-file'
const undoSchema = z.object({
  kind: z.literal(hostsUndoKind),
  path: z.string(),
  /** the whole file as it was, for the operator */
  backup: z.string(),
  patch: z.looseObject({ hunks: z.array(z.looseObject({ lines: z.array(z.string()) })) }),
})

/** Runs one command as root, in the operator's terminal, where sudo asks for the password. @throws when it exits otherwise than with 0 */
export type Sudo = (command: readonly string[]) => Promise<void>

/** What a hosts file is written with: who may answer, and how to become root once the answer was yes. */
export type HostsEffects = Pick<Migration, 'console' | 'prompt' | 'runFolder'> & { readonly sudo: Sudo }

/**
 * Gives the lines of an old address in settings.hostsFile the new one. The whole file as it was lies in the run's folder before. Where this
 * user may not write it, one sudo command is shown and asked for; without a terminal it is only shown.
 * @returns what is still to be typed by the operator; undefined when nothing is
 * @throws OperatorError when it cannot be read, or not be written after all
 */
export async function rewriteHosts(
  migration: Migration,
  sudo: Sudo,
  moves: readonly Move[],
): Promise<string | undefined> {
  const path = migration.settings.hostsFile
  const content = await readHosts(path)
  const { text, lines } = movedHosts(content, moves)
  if (lines.length === 0) {
    migration.console.info(`No line of ${path} is of an old address.`)
    return undefined
  }
  showLines(migration, path, lines)
  const what = `Give ${lines.length} ${lines.length === 1 ? 'line' : 'lines'} of ${path} the new address (${digest(content)})`
  // A dry run may be the first one, and has no folder then.
  const folder = migration.runFolder || migration.settings.outputDir
  const prepared = join(folder, `hosts.${digest(text)}`)
  const backup = join(folder, `hosts.${digest(content)}.before`)
  if (!migration.dryRun) await writeFileAtomic(backup, latin1(content))
  const undo = { kind: hostsUndoKind, path, backup, patch: patchOf(content, text) }
  if (await mayWrite(path)) {
    await migration.change(what, { undo, apply: () => replaceFile(path, latin1(text)) })
    return undefined
  }
  const asRoot = { path, text, prepared, sudo }
  if (migration.dryRun) {
    await migration.change(`${what}: ${commandOf(asRoot)}`, { undo, apply: async () => undefined })
    return undefined
  }
  if (!(await askForRoot(migration, asRoot))) return commandOf(asRoot)
  await migration.change(what, { undo, apply: () => writeAsRoot(migration, asRoot) })
  return undefined
}

/** Puts the lines back that were changed; what else was written into the file meanwhile stays. */
export async function undoHosts(effects: HostsEffects, change: Pick<JournaledChange, 'undo'>): Promise<Undone> {
  const { path, backup, patch } = undoSchema.parse(change.undo)
  const content = await readHosts(path).catch((error: unknown) => error as OperatorError)
  if (typeof content !== 'string') return `conflict: ${content.message}`
  const forward = patch as unknown as StructuredPatch
  if (patched(content, forward) !== undefined) return 'already'
  const text = patched(content, reversePatch(forward))
  if (text === undefined) return `conflict: the lines in ${path} are others by now; it was as in ${backup}`
  if (await mayWrite(path)) {
    await replaceFile(path, latin1(text))
    return 'undone'
  }
  const asRoot = { path, text, prepared: join(effects.runFolder, `hosts.${digest(text)}`), sudo: effects.sudo }
  if (!(await askForRoot(effects, asRoot))) return `conflict: it is still to be done, by: ${commandOf(asRoot)}`
  await writeAsRoot(effects, asRoot)
  return 'undone'
}

/** The sudo of this machine. */
export const systemSudo: Sudo = async (command) => {
  announceCommand('sudo', command)
  const child = spawn('sudo', [...command], { stdio: 'inherit' })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`sudo ended with ${code ?? 'a signal'}`)
}

interface AsRoot {
  readonly path: string
  readonly text: string
  /** where the new content lies, for root to copy it */
  readonly prepared: string
  readonly sudo: Sudo
}

// cp writes into the file that is there, so its owner, its mode, and a link or mount that it is stay.
const copying = ({ path, prepared }: AsRoot) => ['cp', '--', prepared, path]
const commandOf = (asRoot: AsRoot) => quote(['sudo', ...copying(asRoot)])

async function askForRoot({ console, prompt }: Pick<HostsEffects, 'console' | 'prompt'>, asRoot: AsRoot) {
  await writeFileAtomic(asRoot.prepared, latin1(asRoot.text), { mode: 0o644 })
  console.info(`${asRoot.path} is not yours to write. The one command that is needed: ${commandOf(asRoot)}`)
  if (await prompt.confirm(`Run it now: ${commandOf(asRoot)}?`)) return true
  console.warn(`Still to do, by you: ${commandOf(asRoot)}`)
  return false
}

async function writeAsRoot({ console }: Pick<HostsEffects, 'console'>, asRoot: AsRoot): Promise<void> {
  const failed = (why: string, cause?: unknown) =>
    new OperatorError(`${asRoot.path} was not written: ${why}.`, {
      means: 'Its names lead to the old address still.',
      next: `Type it yourself: ${commandOf(asRoot)}; then the same command again.`,
      cause,
    })
  console.pause()
  try {
    await asRoot.sudo(copying(asRoot))
  } catch (error) {
    throw failed(messageOf(error), error)
  } finally {
    console.resume()
  }
  if ((await readHosts(asRoot.path)) !== asRoot.text) throw failed('it does not say what it was to say')
}

function showLines({ console }: Migration, path: string, lines: readonly MovedLine[]): void {
  const shown = (line: string) => latin1(line).toString('utf8').trimEnd()
  const rows = lines.map(({ before, after }) => [
    shown(before),
    after === null ? '(left out: the new address has these names already)' : shown(after),
  ])
  console.table(path, ['BEFORE', 'AFTER'], rows)
}

async function readHosts(path: string): Promise<string> {
  try {
    return await readFile(path, 'latin1')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw new OperatorError(`${path} cannot be read: ${messageOf(error)}`, {
      means: 'It may hold the old address. It was not changed.',
      next: 'Set HOSTS_FILE to the hosts file of this machine.',
      cause: error,
    })
  }
}

async function mayWrite(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => true,
    () => false,
  )
}

function patchOf(before: string, after: string): z.output<typeof undoSchema>['patch'] & { [key: string]: never } {
  return JSON.parse(JSON.stringify(structuredPatch('hosts', 'hosts', before, after, '', '', { context: 1 })))
}

function patched(content: string, patch: StructuredPatch): string | undefined {
  const result = applyPatch(content, patch, { autoConvertLineEndings: false })
  return result === false ? undefined : result
}

const latin1 = (text: string) => Buffer.from(text, 'latin1')
const digest = (text: string) => createHash('sha256').update(text, 'latin1').digest('hex').slice(0, 12)
