import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface Command {
  readonly name: string
  readonly program: string
  readonly args: readonly string[]
  readonly folder: string
  readonly environment: Record<string, string | undefined>
}

/** What one start of a command took, with whatever processes it started and waited for. */
export interface Start {
  readonly seconds: number
  /** user and system time; another process's load does not count */
  readonly cpuSeconds: number
  /** of the largest of its processes */
  readonly peakMemoryMB: number
}

/** Node tells nothing of a child's children; wait4(2) does, of all that were waited for. */
const measuring = `
import json, os, resource, subprocess, sys, time
began = time.monotonic()
subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
seconds = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({'seconds': seconds, 'cpuSeconds': used.ru_utime + used.ru_stime, 'peakMemoryMB': used.ru_maxrss / 1000}))
`

/** Runs it once, to its end, whatever it ends with. @throws when it cannot be started */
export async function start({ program, args, folder, environment }: Command): Promise<Start> {
  const child = spawn('python3', ['-c', measuring, program, ...args], {
    cwd: folder,
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', (chunk) => {
    said += String(chunk)
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${program} cannot be started`)
  return JSON.parse(said) as Start
}
