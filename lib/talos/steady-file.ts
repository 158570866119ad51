import { statSync } from 'node:fs'

/** A file that is to grow while it is written, without a longer pause than so many seconds. */
export interface SteadyFile {
  readonly path: string
  readonly seconds: number
}

/**
 * Watches a file, or what talosctl calls it until it is whole (`.part`), and strikes once when it has not grown for so long: whoever sends
 * it may have gone without a word, which a connection alone does not show for many minutes.
 * @returns what ends the watching
 */
export function watchGrowth({ path, seconds }: SteadyFile, strike: () => void): () => void {
  let size = -1
  let grownAt = performance.now()
  const timer = setInterval(
    () => {
      const now = sizeOf(path) + sizeOf(`${path}.part`)
      if (now !== size) [size, grownAt] = [now, performance.now()]
      else if (performance.now() - grownAt >= seconds * 1000) {
        clearInterval(timer)
        strike()
      }
    },
    Math.min(1000, (seconds * 1000) / 4),
  )
  return () => clearInterval(timer)
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
