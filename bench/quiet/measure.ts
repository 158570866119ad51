/** What one run took. */
export interface Measurement {
  seconds: number
  /** of this process */
  peakMemoryMB: number
}

const everyMs = 50

/** Runs it once. */
export async function measure(run: () => Promise<void>): Promise<Measurement> {
  let peak = process.memoryUsage.rss()
  const sampling = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, everyMs)
  const began = performance.now()
  try {
    await run()
    return { seconds: (performance.now() - began) / 1000, peakMemoryMB: peak / 1e6 }
  } finally {
    clearInterval(sampling)
  }
}
