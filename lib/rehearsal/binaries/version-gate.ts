import { execFile } from 'node:child_process'
import { messageOf } from '../../migration/errors.ts'
import type { Tool } from './catalogue.ts'

/** What a candidate turned out to be. */
export type Verdict = { fits: true; version: string } | { fits: false; because: string }

const answerWithinMs = 30_000

/**
 * Runs the binary at `path` with its version arguments and holds the answer against the pinned version.
 * Never throws: a binary that cannot be run does not fit, and the verdict says why.
 */
export async function judge(tool: Tool, path: string): Promise<Verdict> {
  let answer: string
  try {
    answer = await run(path, tool.versionArguments)
  } catch (error) {
    return { fits: false, because: `${path} ${tool.versionArguments.join(' ')} failed: ${messageOf(error)}` }
  }
  const version = tool.versionPattern.exec(answer)?.[1]
  if (version === undefined) {
    const said = answer.trim().split('\n')[0] ?? ''
    return { fits: false, because: `${path} does not tell a version of ${tool.name}; it says "${said.slice(0, 80)}"` }
  }
  if (tool.accepts ? tool.accepts(version) : version === tool.version) return { fits: true, version }
  return { fits: false, because: `${path} is version ${version}, not ${tool.version}` }
}

function run(path: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: answerWithinMs, maxBuffer: 1 << 20, env: { ...process.env, NO_COLOR: '1' } }
    execFile(path, args, options, (error, stdout, stderr) => (error ? reject(error) : resolve(`${stdout}\n${stderr}`)))
  })
}
