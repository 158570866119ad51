import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'

/** A real file system of its own (tmpfs), which a test can fill, make read-only, or take away. */
export interface SmallDisk {
  folder: string
  makeReadOnly(): void
  /** As a NAS that is unmounted: the mount point stays, empty. */
  unmount(): void
}

/** Mounts it, which takes root; it is unmounted when the test ends. @param size as mount(8) has it, e.g. `1m` */
export function smallDisk(t: ExecutionContext<unknown>, size: string): SmallDisk {
  const folder = mkdtempSync(join(tmpdir(), 'small-disk-'))
  let mounted = false
  const unmount = () => {
    if (mounted) execFileSync('umount', ['--lazy', folder])
    mounted = false
  }
  t.teardown(() => {
    unmount()
    rmdirSync(folder)
  })
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', folder])
  mounted = true
  return { folder, unmount, makeReadOnly: () => void execFileSync('mount', ['-o', 'remount,ro', folder]) }
}
