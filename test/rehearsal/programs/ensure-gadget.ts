// Asks for the gadget of a workshop, as a process of its own. Arguments: the folder of the workshop's module.
import { ensureTools } from '../../../lib/rehearsal/binaries.ts'
import { gadget } from '../fake-go.ts'

const say = (text: string) => void process.stdout.write(`${text}\n`)
const found = await ensureTools([gadget(process.argv[2] ?? '')], { progress: { info: say, warn: say, detail: say } })
say(`found: ${found.get('etcd')?.path}`)
