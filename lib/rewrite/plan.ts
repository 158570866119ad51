import { messageOf } from '../migration/errors.ts'
import { nameAround } from './boundaries.ts'
import type { FileClass } from './default-rules.ts'
import { type Edit, edited } from './edit.ts'
import type { RepositoryPath } from './repository.ts'
import { readWhole, sha256 } from './repository-files.ts'
import type { Rules } from './rules.ts'
import type { Unreadable } from './scan.ts'
import { findInSecrets, type SecretHit } from './secrets.ts'
import { findIn, type Hit, type Spelling } from './spellings.ts'
import { breaksStructure } from './structure.ts'
import { utf16TextOf } from './utf16.ts'

/** One file that holds an old address, and what is to be done with it. */
export interface PlannedFile {
  readonly path: RepositoryPath
  readonly class: FileClass
  /** how often each spelling occurs */
  readonly spellings: ReadonlyMap<string, number>
  /** of its text, before the edits */
  readonly before: string
  readonly after: string
  /** none when the file is left alone */
  readonly edits: readonly Edit[]
  /** why it, or a part of it, is left alone */
  readonly left: readonly string[]
  /** what stands around its hits may be secret */
  readonly sensitive: boolean
}

/** A place that looks like an address, but is a part of something longer. */
export interface PlannedLookalike {
  readonly path: RepositoryPath
  readonly name: string
}

export interface Plan {
  readonly files: readonly PlannedFile[]
  readonly lookalikes: readonly PlannedLookalike[]
  readonly unreadable: readonly Unreadable[]
}

/** What is asked of one plan. */
export interface PlanOptions {
  readonly root: string
  readonly spellings: readonly Spelling[]
  readonly rules: Rules
  /** classes that are changed although the rules leave them alone */
  readonly include: ReadonlySet<FileClass>
  /** whether what Secrets hold in base64 is changed */
  readonly secrets: boolean
  /** files that Git ignores: credentials, mostly */
  readonly ignored: ReadonlySet<RepositoryPath>
  /** last parts of paths that hold an address: what refers to one of them is left as it is, for files are not renamed */
  readonly fileNames: ReadonlySet<string>
}

/** As Git looks for a NUL. */
const binaryLook = 8000

/** Reads the candidates whole and works out what is to be changed in each. Nothing is changed. */
export async function planEdits(candidates: AsyncIterable<RepositoryPath>, options: PlanOptions): Promise<Plan> {
  const plan = { files: [] as PlannedFile[], lookalikes: [] as PlannedLookalike[], unreadable: [] as Unreadable[] }
  for await (const path of candidates) {
    try {
      const bytes = readWhole(options.root, path)
      const file = bytes && planFile(path, bytes, options, plan.lookalikes)
      if (file) plan.files.push(file)
    } catch (error) {
      plan.unreadable.push([path, (error as NodeJS.ErrnoException).code ?? messageOf(error)])
    }
  }
  return plan
}

function planFile(
  path: RepositoryPath,
  bytes: Buffer,
  options: PlanOptions,
  lookalikes: PlannedLookalike[],
): PlannedFile | undefined {
  const wide = utf16TextOf(bytes)
  if (wide !== undefined) return leaveWide(path, bytes, wide, options)
  const text = bytes.toString('latin1')
  const found = findIn(text, options.spellings)
  const inSecrets = findInSecrets(text, options.spellings)
  const named = found.hits.filter((hit) => options.fileNames.has(nameAround(text, hit.start, hit.end)))
  for (const { start, end } of [...found.lookalikes, ...named])
    lookalikes.push({ path, name: nameAround(text, start, end) })
  const hits = found.hits.filter((hit) => !named.includes(hit))
  if (hits.length === 0 && inSecrets.length === 0) return undefined

  const kind = options.rules.classify(path, text)
  const base64 = inSecrets.flatMap(({ edit }) => (edit === undefined ? [] : [edit]))
  const plain = hits.map(({ start, end, becomes }) => ({ at: start, was: text.slice(start, end), becomes }))
  const edits = [...plain, ...(options.secrets ? base64 : [])].sort((a, b) => a.at - b.at)
  const after = edited(bytes, edits)
  const whole = reasonToLeave(path, kind, bytes, after, hits, options)
  const left = whole === undefined ? leftInSecrets(inSecrets, options.secrets) : [whole]
  const changes = whole === undefined && edits.length > 0
  return {
    path,
    class: kind,
    spellings: countSpellings(hits, inSecrets),
    before: sha256(bytes),
    after: changes ? sha256(after) : sha256(bytes),
    edits: changes ? edits : [],
    left,
    sensitive: kind === 'machine config' || inSecrets.length > 0 || options.ignored.has(path),
  }
}

/** Its places in the text are not those of its bytes. */
function leaveWide(path: RepositoryPath, bytes: Buffer, text: string, options: PlanOptions): PlannedFile | undefined {
  const { hits } = findIn(text, options.spellings)
  if (hits.length === 0) return undefined
  const [sum, kind] = [sha256(bytes), options.rules.classify(path, text)]
  const left = ['UTF-16: change it by hand']
  return {
    path,
    class: kind,
    spellings: countSpellings(hits, []),
    before: sum,
    after: sum,
    edits: [],
    left,
    sensitive: false,
  }
}

function reasonToLeave(
  path: RepositoryPath,
  kind: FileClass,
  bytes: Buffer,
  after: Buffer,
  hits: readonly Hit[],
  { rules, include }: PlanOptions,
): string | undefined {
  if (bytes.subarray(0, binaryLook).includes(0)) return 'binary'
  if (kind === 'encrypted') return 'encrypted: change it with the tool that encrypted it'
  if (rules.leave.has(kind) && !include.has(kind)) return `${kind}: left as it is`
  return breaksStructure(path, bytes, after, hits)
}

function leftInSecrets(found: readonly SecretHit[], change: boolean): string[] {
  return found.flatMap(({ entry, count, edit }) => {
    if (edit === undefined) return [`${entry}: ${count} in base64 that is written unusually: change it by hand`]
    return change ? [] : [`${entry}: ${count} in base64: --secrets changes it`]
  })
}

function countSpellings(hits: readonly Hit[], inSecrets: readonly SecretHit[]): Map<string, number> {
  const counts = new Map<string, number>()
  const add = (name: string, count: number) => counts.set(name, (counts.get(name) ?? 0) + count)
  for (const { spelling } of hits) add(spelling, 1)
  for (const { count } of inSecrets) add('base64', count)
  return counts
}
