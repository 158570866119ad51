import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { freemem } from 'node:os'
import { join } from 'node:path'
import type { Command, Contender } from './contenders.ts'

/** A contender took so much memory that it was ended, for the sake of the machine. */
export class TooMuchMemory extends Error {}

/** What one run of a contender took. */
export interface Measurement {
  seconds: number
  peakMemoryMB: number
  /** on the disk, when it was done */
  bytes: number
}

const looksEveryMs = 10

/**
 * Runs a contender once, from the start of its first process to the end of its last, and removes what it wrote.
 * @param mostMemoryMB half of what the machine has left, unless said otherwise
 * @throws TooMuchMemory when it takes more; Error when one of its commands fails
 */
export async function measure(
  contender: Contender,
  workFolder: string,
  mostMemoryMB = freemem() / 2e6,
): Promise<Measurement> {
  const folder = await mkdtemp(join(workFolder, 'run-'))
  const output = join(folder, 'output')
  try {
    await writeFile(output, '')
    const peaks: number[] = []
    const began = performance.now()
    for (const command of contender.commands(folder)) peaks.push(await run(command, output, mostMemoryMB))
    const seconds = (performance.now() - began) / 1000
    return { seconds, peakMemoryMB: Math.max(...peaks), bytes: await bytesIn(folder) }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** @returns its peak memory in MB */
async function run({ program, args }: Command, output: string, mostMemoryMB: number): Promise<number> {
  const out = openSync(output, 'a')
  const child = spawn(program, args, { stdio: ['ignore', out, 'pipe'] })
  closeSync(out)
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  let complaint = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk).slice(-2000)
  })
  let peak = 0
  const looking = setInterval(() => {
    peak = peakOf(child.pid) ?? peak
    if (peak > mostMemoryMB) end()
  }, looksEveryMs)
  const [code] = await once(child, 'close').finally(() => {
    clearInterval(looking)
    process.off('exit', end)
  })
  if (peak > mostMemoryMB) throw new TooMuchMemory(`ended when it had taken ${(peak / 1000).toFixed(1)} GB of memory`)
  if (code !== 0) throw new Error(`${program} ${args.at(-1)} ended with ${code}: ${complaint}`)
  return peak
}

/** The most that a process has had resident so far, in MB. The kernel keeps the mark: see proc_pid_status(5), VmHWM. */
function peakOf(pid: number | undefined): number | undefined {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kilobytes === undefined ? undefined : Number(kilobytes) / 1000
  } catch {
    // It has just ended.
    return undefined
  }
}

async function bytesIn(folder: string): Promise<number> {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
  const sizes = await Promise.all(files.map(({ parentPath, name }) => stat(join(parentPath, name))))
  return sizes.reduce((sum, { size }) => sum + size, 0)
}
