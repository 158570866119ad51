import * as z from 'zod'
import type { Talosctl, Target } from './talosctl.ts'

/** How much of a machine there is. */
export interface Hardware {
  /** hardware threads, of all sockets */
  readonly threads: number
  readonly memoryBytes: number
}

const processor = z.looseObject({ coreCount: z.number().default(0), threadCount: z.number().default(0) })
const memoryModule = z.looseObject({ sizeMiB: z.number().default(0) })

/**
 * Asks a machine, also in maintenance mode, what its firmware says of processors and memory; 0 where it says nothing.
 * Source: Talos reference, hardware.talos.dev, Processors and MemoryModules
 */
export async function hardwareOf(talosctl: Talosctl, target: Target): Promise<Hardware> {
  const [processors, modules] = await Promise.all([
    talosctl.resources(target, 'processors.hardware.talos.dev', processor),
    talosctl.resources(target, 'memorymodules.hardware.talos.dev', memoryModule),
  ])
  return {
    threads: processors.reduce((sum, { spec }) => sum + Math.max(spec.threadCount, spec.coreCount), 0),
    memoryBytes: modules.reduce((sum, { spec }) => sum + spec.sizeMiB * 2 ** 20, 0),
  }
}
