import { ours } from './contenders.ts'
import type { Measurement } from './measure.ts'

/** One contender at one size, medians over the rounds. */
export interface Case extends Measurement {
  name: string
  contender: string
  objects: number
  objectsPerSecond: number
  /** how many times as fast as each of the others */
  ratios: Record<string, number>
}

/** @param rounds what each contender took, by its name */
export function casesOf(objects: number, rounds: ReadonlyMap<string, readonly Measurement[]>): Case[] {
  const medians = [...rounds].map(([contender, measurements]) => ({ contender, ...medianOf(measurements) }))
  return medians.map((one) => ({
    name: `${one.contender}, ${objects} objects`,
    objects,
    ...one,
    objectsPerSecond: Math.round(objects / one.seconds),
    ratios: Object.fromEntries(
      medians
        .filter((other) => other !== one)
        .map((other) => [other.contender, Number((other.seconds / one.seconds).toFixed(2))]),
    ),
  }))
}

/** As rows for the operator's eyes: every contender beside ours. */
export function rowsOf(cases: readonly Case[]): string[][] {
  return cases.map(({ contender, objects, seconds, objectsPerSecond, peakMemoryMB, bytes, ratios }) => [
    String(objects),
    contender,
    seconds.toFixed(2),
    String(objectsPerSecond),
    peakMemoryMB.toFixed(0),
    (bytes / 1e6).toFixed(1),
    contender === ours ? '' : `${(1 / (ratios[ours] ?? Number.NaN)).toFixed(2)} ×`,
  ])
}

export const columns = ['objects', 'contender', 'seconds', 'objects/s', 'peak MB', 'MB written', 'time beside ours']

function medianOf(measurements: readonly Measurement[]): Measurement {
  const median = (pick: (measurement: Measurement) => number) => {
    const sorted = measurements.map(pick).sort((a, b) => a - b)
    return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
  }
  return {
    seconds: Number(median(({ seconds }) => seconds).toFixed(3)),
    peakMemoryMB: Number(median(({ peakMemoryMB }) => peakMemoryMB).toFixed(1)),
    bytes: median(({ bytes }) => bytes),
  }
}
