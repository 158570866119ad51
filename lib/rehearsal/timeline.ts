import { readFileSync } from 'node:fs'
import * as z from 'zod'

export const machineEvents = [
  'power-on',
  'maintenance-ready',
  'config-applied',
  'booted',
  'bootstrap-requested',
  'recover-uploaded',
  'etcd-ready',
  'apiserver-ready',
  'controlplane-ready',
  'node-ready',
  'shutdown-requested',
  'stopped',
] as const

export type MachineEventName = (typeof machineEvents)[number]

/** Something that happened to a practice machine, as the machine itself wrote it down. */
export interface MachineEvent {
  /** Milliseconds since the epoch, with fractions. */
  at: number
  event: string
}

const line = z.object({ at: z.string(), event: z.string() })

/** The events of a machine's timeline file (JSON lines, RFC 3339 times), oldest first; none when it was never on. */
export function readTimeline(path: string): MachineEvent[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return []
  }
  // A last line without its end is still being written.
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return whole
    .split('\n')
    .filter((row) => row !== '')
    .map((row) => {
      const { at, event } = line.parse(JSON.parse(row))
      return { at: milliseconds(at), event }
    })
}

/** RFC3339Nano to milliseconds; Date alone would cut the microseconds off. */
function milliseconds(at: string): number {
  const fraction = /\.(\d+)/.exec(at)?.[1] ?? ''
  const whole = Date.parse(at.replace(/\.\d+/, ''))
  return whole + Number(`0.${fraction || '0'}`) * 1000
}
