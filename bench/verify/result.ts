import { median } from '../median.ts'

/** What one round took. */
export interface Taken {
  seconds: number
  peakMemoryMB: number
}

/** One case, medians over the rounds. */
export interface Case {
  name: string
  seconds: number
  peakMemoryMB: number
  /** how many times as fast it is as the others */
  ratios: Record<string, number>
}

/** @param rounds what each check alone, `all checks` and `the guide` took, by these names */
export function casesOf(rounds: ReadonlyMap<string, readonly Taken[]>): Case[] {
  const medians = [...rounds].map(([name, taken]) => ({
    name,
    seconds: median(taken.map(({ seconds }) => seconds)),
    peakMemoryMB: Math.round(Math.max(...taken.map(({ peakMemoryMB }) => peakMemoryMB))),
  }))
  const alone = medians.filter(({ name }) => name !== 'all checks' && name !== 'the guide')
  const slowest = Math.max(...alone.map(({ seconds }) => seconds))
  const guide = medians.find(({ name }) => name === 'the guide')
  return medians.map((one) => ({
    ...one,
    ratios:
      one.name === 'all checks'
        ? {
            'the slowest of them': rounded(slowest / one.seconds),
            ...(guide ? { 'the guide': rounded(guide.seconds / one.seconds) } : {}),
          }
        : {},
  }))
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}
