import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import https from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import * as z from 'zod'

/*
 * A process of its own, outside of everything that it watches: looks ten times a second at the etcd of every machine that has a file in
 * a practice cluster's folder, and writes down when two live ones are of one cluster without being members of one another's.
 *
 *   tsx lib/rehearsal/faults/watchdog.ts FOLDER REPORT
 */

/** One line of the report (JSON lines): how often it has looked so far, and what it saw that must not be. */
export const sighting = z.object({
  at: z.string(),
  looks: z.number(),
  /** what is wrong; absent in a sign of life */
  wrong: z.string().optional(),
})

const everyMs = 100
const answerWithinMs = 400
/** Looks between two signs of life. */
const looksBetweenSigns = 5

const machineFile = z.object({ name: z.string(), uuid: z.string(), disk: z.string(), control: z.string() })
const controlState = z.object({ plugged: z.boolean(), localhost: z.string() })
const memberList = z.object({
  header: z.object({ cluster_id: z.string(), member_id: z.string() }),
  members: z.array(z.object({ ID: z.string().optional() })),
})

/** An etcd that answers, on a machine whose cable is plugged in. */
export interface LiveEtcd {
  /** of the machine: its name and UUID, for two may have one address */
  machine: string
  /** SHA-256 of the CA that all etcds of one cluster share */
  authority: string
  clusterId: string
  memberId: string
  members: readonly string[]
}

/** What is wrong with these etcds that live at the same moment. */
export function strangersOfOneCluster(live: readonly LiveEtcd[]): string[] {
  return live.flatMap((one, index) =>
    live
      .slice(index + 1)
      .filter((other) => other.authority === one.authority && !areMembers(one, other))
      .map((other) => `two live etcds of one cluster: ${describe(one)} and ${describe(other)}`),
  )
}

/** Etcds that were recovered from one snapshot at one address share even their ids: two members of one cluster never do. */
function areMembers(one: LiveEtcd, other: LiveEtcd): boolean {
  if (one.clusterId !== other.clusterId || one.memberId === other.memberId) return false
  return one.members.includes(other.memberId) && other.members.includes(one.memberId)
}

const describe = ({ machine, clusterId, memberId }: LiveEtcd) => `${machine} (cluster ${clusterId}, member ${memberId})`

async function lookAt(path: string): Promise<LiveEtcd | undefined> {
  try {
    const { name, uuid, disk, control } = machineFile.parse(JSON.parse(readFileSync(path, 'utf8')))
    if (!existsSync(control)) return undefined
    const { plugged, localhost } = controlState.parse(JSON.parse(await askControl(control)))
    if (!plugged) return undefined
    const pki = (file: string) => readFileSync(join(disk, 'run/etcd', file))
    const credentials = { ca: pki('ca.crt'), cert: pki('admin.crt'), key: pki('admin.key') }
    const { header, members } = memberList.parse(JSON.parse(await askMembers(localhost, credentials)))
    return {
      machine: `${name}, uuid ${uuid}`,
      authority: createHash('sha256').update(credentials.ca).digest('hex'),
      clusterId: header.cluster_id,
      memberId: header.member_id,
      members: members.flatMap(({ ID }) => ID ?? []),
    }
  } catch {
    // It is off, is being made, or has no etcd: nothing that lives.
    return undefined
  }
}

function askControl(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath)
    let answer = ''
    socket.setTimeout(answerWithinMs, () => socket.destroy(new Error('no answer')))
    socket.setEncoding('utf8').once('connect', () => socket.write(`${JSON.stringify({ do: 'status' })}\n`))
    socket.on('data', (text) => {
      answer += text
    })
    socket.once('error', reject)
    socket.once('close', () => resolve(answer))
  })
}

/** What the member itself knows, without asking a leader. Source: https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/ */
function askMembers(host: string, credentials: https.RequestOptions): Promise<string> {
  const options = { ...credentials, host, port: 2379, path: '/v3/cluster/member/list', method: 'POST' }
  return new Promise((resolve, reject) => {
    const request = https.request({ ...options, timeout: answerWithinMs, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece) => {
        text += piece
      })
      response.once('end', () => resolve(text)).once('error', reject)
    })
    request.once('timeout', () => request.destroy(new Error('no answer'))).once('error', reject)
    request.end(JSON.stringify({ linearizable: false }))
  })
}

async function watch(folder: string, report: string): Promise<never> {
  const say = (line: z.input<typeof sighting>) => appendFileSync(report, `${JSON.stringify(line)}\n`)
  for (let looks = 1; ; looks++) {
    const files = readdirSync(folder).filter((name) => name.endsWith('.json'))
    const live = await Promise.all(files.map((name) => lookAt(join(folder, name))))
    const at = new Date().toISOString()
    const wrong = strangersOfOneCluster(live.filter((etcd) => etcd !== undefined))
    for (const each of wrong) say({ at, looks, wrong: each })
    if (looks % looksBetweenSigns === 0) say({ at, looks })
    await delay(everyMs)
  }
}

const [folder, report] = process.argv.slice(2)
if (process.argv[1]?.endsWith('watchdog.ts') && folder !== undefined && report !== undefined) {
  // Whoever has started it holds the other end of this.
  process.stdin.resume().on('end', () => process.exit())
  await watch(folder, report)
}
