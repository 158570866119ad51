import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { catalogue } from '../../../lib/rehearsal/binaries/catalogue.ts'
import { ensureTools } from '../../../lib/rehearsal/binaries.ts'
import { temporaryFolder } from '../../temporary-folder.ts'

const tools = await ensureTools(catalogue(['nebula', 'nebula-cert']), { progress: { info: () => {} } as never })

/** The real programs. */
export const nebula = tools.get('nebula')?.path ?? ''
export const nebulaCert = tools.get('nebula-cert')?.path ?? ''

/** A CA made for a test, by nebula-cert itself. */
export interface TestAuthority {
  readonly folder: string
  readonly certificate: string
  readonly key: string
  /** Signs a host, and returns its certificate and key. */
  host(name: string, network: string, ...more: string[]): { certificate: string; key: string }
}

export function makeAuthority(name: string, ...more: string[]): TestAuthority {
  const folder = temporaryFolder('nebula-ca')
  const run = (...args: string[]) => execFileSync(nebulaCert, args, { cwd: folder, stdio: 'pipe' })
  const read = (file: string) => readFileSync(join(folder, file), 'utf8')
  let signed = 0
  run('ca', '-name', name, ...more)
  return {
    folder,
    certificate: read('ca.crt'),
    key: read('ca.key'),
    host: (host, network, ...options) => {
      signed += 1
      const [certificate, key] = [`${signed}.crt`, `${signed}.key`]
      run('sign', '-name', host, '-ip', network, '-out-crt', certificate, '-out-key', key, ...options)
      return { certificate: read(certificate), key: read(key) }
    },
  }
}
