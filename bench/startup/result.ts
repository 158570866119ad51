import { median } from '../median.ts'
import type { Start } from './start.ts'

/** What all that is ours is measured against: Node itself, before it has read a line. */
export const nothing = 'node -e 0'

/** One command, medians over the rounds. */
export interface Case extends Start {
  readonly name: string
  /** CPU seconds beyond those of a Node that does nothing */
  readonly ownSeconds: number
  /** how many times as fast it starts as the others */
  readonly ratios: Record<string, number>
}

/** @param taken what each command took in each round, by its name */
export function casesOf(taken: ReadonlyMap<string, readonly Start[]>): Case[] {
  const medians = [...taken].map(([name, starts]) => ({
    name,
    seconds: median(starts.map(({ seconds }) => seconds)),
    cpuSeconds: median(starts.map(({ cpuSeconds }) => cpuSeconds)),
    peakMemoryMB: median(starts.map(({ peakMemoryMB }) => peakMemoryMB)),
  }))
  const bare = medians.find(({ name }) => name === nothing)?.cpuSeconds ?? 0
  return medians.map((one) => ({
    ...one,
    ownSeconds: rounded(Math.max(0, one.cpuSeconds - bare)),
    ratios: Object.fromEntries(
      medians.filter((other) => other !== one).map((other) => [other.name, rounded(other.seconds / one.seconds)]),
    ),
  }))
}

function rounded(value: number): number {
  return Number(value.toFixed(3))
}
