import { runToItsEnd } from '../migration/executables.ts'

const deadlineSeconds = 10

/** The version of the kubectl on PATH, such as `v1.34.0`; undefined when there is none that tells. Source: `kubectl version --help` */
export async function kubectlVersion(): Promise<string | undefined> {
  const said = await runToItsEnd('kubectl', ['version', '--client'], deadlineSeconds)
  return said.exitCode === 0 ? /^Client Version: (v\d+\.\d+\.\S+)/m.exec(said.stdout)?.[1] : undefined
}
