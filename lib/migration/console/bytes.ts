const units = ['kB', 'MB', 'GB', 'TB', 'PB']

/** 1234567 → `1.2 MB`: powers of ten, as on the label of a disk. Below a megabyte in whole kilobytes, rounded up: what is there is never shown as nothing. */
export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`
  const power = Math.min(Math.floor(Math.log10(bytes) / 3), units.length)
  return `${(bytes / 1000 ** power).toFixed(1)} ${units[power - 1]}`
}
