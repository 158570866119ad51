import { setTimeout as delay } from 'node:timers/promises'

/** Time as an effect, so that waits can be tested without waiting. */
export interface Clock {
  now(): Date
  /** Milliseconds since some moment, which go on evenly whatever becomes of the time of day: what a wait is measured by. */
  elapsed(): number
  /** Resolves after `ms` milliseconds, or at once when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => new Date(),
  elapsed: () => performance.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, signal ? { signal } : {}).catch((error: unknown) => {
      if (!signal?.aborted) throw error
    })
  },
}

/** 75.4 s → `1m 15s`, 3.21 s → `3.2s`, as shown behind steps and in tables. */
export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)}s`
  const whole = Math.round(seconds)
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor((whole % 3600) / 60)
  return hours > 0 ? `${hours}h ${minutes}m` : `${minutes}m ${whole % 60}s`
}

/** `3m 20s – 12m 0s`. */
export function formatRange({ fromSeconds, toSeconds }: { fromSeconds: number; toSeconds: number }): string {
  return `${formatSeconds(fromSeconds)} – ${formatSeconds(toSeconds)}`
}

/** Lets through one call in so many milliseconds, the first one not before that: for what is shown of something that goes fast. */
export function atMostEvery(ms: number, clock: Clock): (show: () => void) => void {
  let shown = clock.elapsed()
  return (show) => {
    const now = clock.elapsed()
    if (now - shown < ms) return
    shown = now
    show()
  }
}
