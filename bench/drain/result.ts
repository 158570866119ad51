import type { Measurement } from '../backup/measure.ts'
import { median } from '../median.ts'

/** One contender on one ground, medians over the rounds. */
export interface Case {
  name: string
  contender: string
  ground: string
  seconds: number
  peakMemoryMB: number
  /** how many times as fast it is as the others */
  ratios: Record<string, number>
}

/** @param rounds what each contender took, by its name */
export function casesOf(ground: string, rounds: ReadonlyMap<string, readonly Measurement[]>): Case[] {
  const medians = [...rounds].map(([contender, taken]) => ({
    contender,
    seconds: median(taken.map(({ seconds }) => seconds)),
    peakMemoryMB: median(taken.map(({ peakMemoryMB }) => peakMemoryMB)),
  }))
  return medians.map((one) => ({
    name: `${one.contender}, ${ground}`,
    ...{ ground, ...one },
    ratios: Object.fromEntries(
      medians
        .filter((other) => other !== one)
        .map((other) => [other.contender, Number((other.seconds / one.seconds).toFixed(2))]),
    ),
  }))
}
