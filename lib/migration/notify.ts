import { spawn } from 'node:child_process'
import type { Settings } from '../settings.ts'
import type { Console } from './console.ts'
import { messageOf } from './errors.ts'
import { redact } from './redact.ts'

/** What somebody who has left the terminal is told: that the run waits for them, or how it has ended. */
export interface Notice {
  readonly title: string
  readonly text: string
}

type Channels = Pick<Settings, 'notifyCommand' | 'notifyUrl'>

const deadlineMs = 10_000

/** How a phase, or the whole run, has ended. */
export function endOf(name: string, code: number, { clusterName }: Pick<Settings, 'clusterName'>): Notice {
  const how = code === 0 ? 'done' : code === 130 ? 'interrupted' : `FAILED (exit code ${code})`
  return { title: `${clusterName}: migrate:${name} ${how}`, text: 'What to type next: task migrate:status' }
}

/**
 * Tells whoever NOTIFY_CMD and NOTIFY_URL reach, both at once. It takes no longer than its deadline and fails nothing: what went wrong is
 * said in one line, without the URL, which lets in whoever knows it.
 */
export async function notify(
  { notifyCommand, notifyUrl }: Channels,
  notice: Notice,
  console: Pick<Console, 'warn'>,
  patienceMs = deadlineMs,
): Promise<void> {
  const { title, text } = { title: redact(notice.title), text: redact(notice.text) }
  const told = await Promise.allSettled([
    notifyCommand === undefined ? undefined : byCommand(notifyCommand, { title, text }, patienceMs),
    notifyUrl === undefined ? undefined : byWebhook(new URL(notifyUrl), { title, text }, patienceMs),
  ])
  for (const one of told) {
    if (one.status === 'rejected') console.warn(`You were not told of it elsewhere: ${messageOf(one.reason)}`)
  }
}

function byCommand(command: string, { title, text }: Notice, patienceMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (why: string) => reject(new Error(`NOTIFY_CMD ${why}`))
    const child = spawn('sh', ['-c', command], {
      env: { ...process.env, NOTIFY_TITLE: title, NOTIFY_TEXT: text },
      stdio: ['pipe', 'ignore', 'ignore'],
      // A group of its own: the deadline ends whatever it has started, too.
      detached: true,
    })
    const tooLong = setTimeout(() => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      failed(`took longer than ${patienceMs / 1000}s`)
    }, patienceMs)
    child.once('error', (error) => failed(messageOf(error)))
    child.once('exit', (code, signal) => {
      clearTimeout(tooLong)
      if (code === 0) resolve()
      else failed(`ended with ${code ?? signal}`)
    })
    // It may not want to read it.
    child.stdin.on('error', () => undefined)
    child.stdin.end(`${text}\n`)
  })
}

/**
 * A URL of one segment is a topic of ntfy, which takes the text as it is; any other an incoming webhook, which takes it as JSON.
 * Source: https://docs.ntfy.sh/publish/, https://api.slack.com/messaging/webhooks
 */
async function byWebhook(url: URL, { title, text }: Notice, patienceMs: number): Promise<void> {
  const isTopic = url.pathname.split('/').filter(Boolean).length === 1
  const message = isTopic
    ? { headers: { Title: asHeader(title) }, body: text }
    : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ text: `*${title}*\n${text}` }) }
  const { username, password } = url
  if (username !== '') {
    const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')
    Object.assign(message.headers, { Authorization: `Basic ${login}` })
  }
  // fetch refuses a URL that holds a password.
  const bare = Object.assign(new URL(url), { username: '', password: '' })
  const answer = await fetch(bare, {
    method: 'POST',
    ...message,
    redirect: 'error',
    signal: AbortSignal.timeout(patienceMs),
  }).catch((error: Error) => {
    const why =
      error.name === 'TimeoutError' ? `no answer within ${patienceMs / 1000}s` : messageOf(error.cause ?? error)
    throw new Error(`NOTIFY_URL (${url.host}): ${why}`)
  })
  if (!answer.ok) throw new Error(`NOTIFY_URL (${url.host}) answered ${answer.status}`)
}

/** HTTP knows no other letters in a header; ntfy decodes these. Source: RFC 2047 */
function asHeader(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : `=?UTF-8?B?${Buffer.from(text).toString('base64')}?=`
}
