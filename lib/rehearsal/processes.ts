import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** One process as /proc has it (proc(5)). */
export interface Process {
  pid: number
  parent: number
  command: string
}

export function allProcesses(): Process[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.flatMap((pid) => lookAt(Number(pid)) ?? [])
}

/** All descendants of a process, itself left out. */
export function processesBelow(ancestor: number, processes = allProcesses()): Process[] {
  const below = new Set([ancestor])
  // A child nearly always has a higher id than its parent; the second pass is for when ids have started anew.
  for (let pass = 0; pass < 2; pass++) {
    for (const { pid, parent } of processes) if (below.has(parent)) below.add(pid)
  }
  return processes.filter(({ pid }) => pid !== ancestor && below.has(pid))
}

/** Undefined when it is gone, or a zombie that only waits to be counted. */
function lookAt(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (state === 'Z') return undefined
    return { pid, parent: Number(parent), command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') }
  } catch {
    return undefined
  }
}

const writeModes = 0o3

/** The files that a process has open for writing at this moment (proc(5): fd and fdinfo). */
export function openForWriting(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((descriptor) => {
      const flags = /^flags:\s*0*(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${descriptor}`, 'utf8'))?.[1]
      const writes = (Number.parseInt(flags ?? '0', 8) & writeModes) !== 0
      return writes ? [readlinkSync(`/proc/${pid}/fd/${descriptor}`)] : []
    })
  } catch {
    // It has ended, or closed the file, in between.
    return []
  }
}
