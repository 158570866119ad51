import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** The first executable of that name in the folders of PATH. */
export async function findOnPath(name: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter).filter(Boolean)) {
    if (await isExecutable(join(folder, name))) return join(folder, name)
  }
  return undefined
}

/** Whether this user may run it. */
export async function isExecutable(path: string): Promise<boolean> {
  const file = await stat(path).catch(() => null)
  if (!file?.isFile()) return false
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
