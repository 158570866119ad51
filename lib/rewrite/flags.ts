import { OperatorError } from '../migration/errors.ts'
import type { Flags } from '../migration/migration.ts'
import { classes, type FileClass } from './default-rules.ts'

export const rewriteFlags = {
  map: 'list',
  include: 'list',
  secrets: 'boolean',
  dirty: 'boolean',
  cluster: 'boolean',
  undo: 'boolean',
  'print-rules': 'boolean',
} as const

/** @throws OperatorError with exit code 2 for a class that there is not, or that is never changed */
export function includedClasses(flags: Flags): Set<FileClass> {
  const words = String(flags.include ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
  const known = classes.filter((name) => name !== 'encrypted')
  const unknown = words.filter((word) => !(known as readonly string[]).includes(word))
  if (unknown.length === 0) return new Set(words as FileClass[])
  throw new OperatorError(`--include ${unknown.join(',')} is no class of files that can be changed.`, {
    means: `There are: ${known.join(', ')}.`,
    next: 'For example: task migrate:rewrite-ip -- --include history',
    exitCode: 2,
  })
}
