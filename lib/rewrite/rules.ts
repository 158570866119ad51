import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import picomatch from 'picomatch'
import { parse, stringify } from 'yaml'
import * as z from 'zod'
import { messageOf, OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { classes, defaultRules, type FileClass, ignoredThatMatter, leftAlone, type Rule } from './default-rules.ts'

/** The file in the homelab's folder that the operator edits. */
export const rulesFile = '.migrate-rewrite.yml'

const topLength = 1000
const text = z.string().min(1)
const schema = z.strictObject({
  rules: z
    .array(
      z
        .strictObject({
          class: z.enum(classes),
          paths: z.array(text).optional(),
          top: text.refine(isPattern, 'a regular expression').optional(),
          contains: text.refine(isPattern, 'a regular expression').optional(),
        })
        .refine((rule) => Object.keys(rule).length > 1, 'paths, top or contains, or several of them'),
    )
    .default([]),
  leave: z.array(z.enum(classes)).default([...leftAlone]),
  ignored: z.array(text).default([]),
  defaults: z.boolean().default(true),
})

/** What kind of file each one is, and what is done with it. */
export interface Rules {
  /** @param text latin1 */
  classify(path: string, text: string): FileClass
  /** classes that are reported and left alone */
  readonly leave: ReadonlySet<FileClass>
  /** Whether a file or folder (with a slash at its end) that Git ignores is looked at all the same. */
  matters(path: string): boolean
}

/**
 * The program's own rules, and before them those of .migrate-rewrite.yml, if it is there. The first that fits counts.
 * @param folder the homelab's
 * @throws OperatorError with exit code 2 when the file cannot be read or says something else than it may
 */
export function loadRules(folder: string): Rules {
  const file = join(folder, rulesFile)
  const own = schema.parse({})
  return compile(existsSync(file) ? readRules(file) : own)
}

/** Shows the program's own rules as such a file, for the operator to begin with. */
export function printDefaultRules({ console }: Migration): void {
  const file = { defaults: false, rules: defaultRules, leave: leftAlone, ignored: ignoredThatMatter }
  for (const line of stringify(file).trimEnd().split('\n')) console.info(line)
}

function readRules(file: string): z.output<typeof schema> {
  const wrong = (what: string, cause: unknown) =>
    new OperatorError(`${file} cannot be used: ${what}`, {
      means: 'Nothing was changed.',
      next: 'Correct it. What the program goes by itself: task migrate:rewrite-ip -- --print-rules',
      exitCode: 2,
      cause,
    })
  try {
    const parsed = schema.safeParse(parse(readFileSync(file, 'utf8')) ?? {})
    if (parsed.success) return parsed.data
    const issues = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`)
    throw wrong(issues.join('; '), parsed.error)
  } catch (error) {
    throw error instanceof OperatorError ? error : wrong(messageOf(error), error)
  }
}

function compile({ rules, leave, ignored, defaults }: z.output<typeof schema>): Rules {
  const all = [...rules, ...(defaults ? defaultRules : [])].map(compileRule)
  const mattering = [...ignored, ...(defaults ? ignoredThatMatter : [])]
  const [folders, files] = [mattering.filter((one) => one.endsWith('/')), mattering.filter((one) => !one.endsWith('/'))]
  const isFolder = matcher(folders.map((one) => one.slice(0, -1)))
  const isFile = matcher(files)
  return {
    classify: (path, text) => all.find(({ fits }) => fits(path, text))?.class ?? 'configuration',
    leave: new Set(leave),
    matters: (path) => (path.endsWith('/') ? isFolder(path.slice(0, -1)) : isFile(path)),
  }
}

function compileRule({ class: name, paths, top, contains }: Rule) {
  const byPath = paths === undefined ? () => true : matcher(paths)
  const fitsText = (pattern: string | undefined) => (pattern === undefined ? undefined : new RegExp(pattern, 'im'))
  const [atTop, anywhere] = [fitsText(top), fitsText(contains)]
  const fits = (path: string, text: string) =>
    byPath(path) && (atTop?.test(text.slice(0, topLength)) ?? true) && (anywhere?.test(text) ?? true)
  return { class: name, fits }
}

/** A pattern without a slash is about the name, wherever the file lies, as in .gitignore. */
function matcher(patterns: readonly string[]): (path: string) => boolean {
  const inPath = together(patterns.filter((pattern) => pattern.includes('/')))
  const inName = together(patterns.filter((pattern) => !pattern.includes('/')))
  return (path) => inName(path.slice(path.lastIndexOf('/') + 1)) || inPath(path)
}

/** One expression for all of them, which is compiled when the first path is asked of. */
function together(patterns: readonly string[]): (text: string) => boolean {
  if (patterns.length === 0) return () => false
  let expression: RegExp | undefined
  return (text) => {
    expression ??= new RegExp(patterns.map((one) => picomatch.makeRe(one, { dot: true }).source).join('|'), 'i')
    return expression.test(text)
  }
}

function isPattern(source: string): boolean {
  try {
    return new RegExp(source, 'im') instanceof RegExp
  } catch {
    return false
  }
}
