const streams = [process.stdout, process.stderr]

/** Whoever reads what is said may go away (`| head`, a closed terminal): the run goes on all the same, and its log has the rest. */
export function outliveReaders(): void {
  for (const stream of streams) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error
    })
  }
}

/**
 * Waits until whoever reads has taken everything that was said, or has gone away: what a pipe has not taken is lost when the process is ended.
 * Source: https://nodejs.org/api/process.html#processexitcode
 */
export async function everythingIsRead(): Promise<void> {
  await Promise.all(streams.map((stream) => new Promise<void>((resolve) => stream.write('', () => resolve()))))
}
