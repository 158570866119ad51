import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { projectFolder } from '../../lib/settings.ts'

const machine = join(projectFolder, 'lib/rehearsal/machine')
// As the binaries are built, so that what they were built from is not compiled again.
const environment = { ...process.env, GOFLAGS: '', CGO_ENABLED: '0' }

test("the practice machine's own tests pass", async (t) => {
  t.timeout(600_000)
  const { stdout } = await promisify(execFile)('go', ['test', '-trimpath', './...'], { cwd: machine, env: environment })
  t.regex(stdout, /^ok\s+talos-migrate\.invalid\/machine\/internal\/identity/m)
  t.notRegex(stdout, /FAIL/)
})

test("the practice machine's sources are formatted", async (t) => {
  const { stdout } = await promisify(execFile)('gofmt', ['-l', '.'], { cwd: machine })
  t.is(stdout, '')
})
