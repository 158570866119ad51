import { readdirSync, readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { parse } from 'dotenv'
import type * as z from 'zod'
import { OperatorError } from '../migration/errors.ts'
import { projectFolder } from './project.ts'
import { variables } from './variables.ts'

export function readEnvironmentFile(environment: Record<string, string | undefined>) {
  const folder = resolve(environment.ENV_DIR || join(projectFolder, 'env'))
  const cluster = environment.CLUSTER
  const known = clustersIn(folder)
  const choose = known.length > 0 ? `There is: ${known.join(', ')}.` : `There is no .env file in ${folder}.`
  if (!cluster) {
    throw new OperatorError('No cluster is chosen: CLUSTER is not set.', {
      means: choose,
      next: `Name one: task migrate:plan CLUSTER=${known[0] ?? 'NAME'}`,
      exitCode: 2,
    })
  }
  const file = join(folder, `${cluster}.env`)
  if (!known.includes(cluster)) {
    throw new OperatorError(`Unknown cluster: CLUSTER=${cluster}, and there is no ${file}.`, {
      means: choose,
      next: `Correct CLUSTER, or copy ${join(folder, 'example.env')} to ${basename(file)} and fill it in.`,
      exitCode: 2,
    })
  }
  return { cluster, file, values: withoutEmpty(parse(readFileSync(file, 'utf8'))) }
}

function clustersIn(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith('.env') && name !== 'example.env')
    return names.map((name) => name.slice(0, -'.env'.length)).sort()
  } catch {
    return []
  }
}

export function namedIn(environment: Record<string, string | undefined>): Record<string, string> {
  const named = Object.keys(variables).map((name) => [name, environment[name]] as const)
  return withoutEmpty(Object.fromEntries(named))
}

function withoutEmpty(values: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value?.trim())) as Record<string, string>
}

export function mistakes(
  file: string,
  values: Record<string, string>,
  fromFile: Record<string, string>,
  error: z.ZodError,
) {
  const lines = error.issues.map((issue) => {
    const name = String(issue.path[0])
    const value = values[name]
    if (value === undefined) return `  ${name} is not set; see env/example.env for what it is`
    const origin = value === fromFile[name] ? basename(file) : 'the environment'
    return `  ${name}=${value} (from ${origin}): expected ${issue.message}`
  })
  const unique = [...new Set(lines)]
  const count = unique.length === 1 ? 'One setting is' : `${unique.length} settings are`
  return new OperatorError(`${count} wrong or missing:\n${unique.join('\n')}`, {
    means: 'Nothing was read or changed.',
    next: `Correct ${file}, or give the variable on the command line: task migrate:plan NAME=VALUE`,
    exitCode: 2,
  })
}
