import type { ApiError } from '../../kubernetes/api.ts'

/** An object that the API does not take. */
export class Refusal extends Error {
  readonly next: string
  /** Another object that is still to come may be what it lacks. */
  readonly mayPass: boolean

  constructor(reason: string, { next, mayPass = false }: { next: string; mayPass?: boolean }) {
    super(reason)
    this.name = 'Refusal'
    this.next = next
    this.mayPass = mayPass
  }
}

const webhookCall = /failed calling webhook "([^"]+)"/
const webhookDenial = /admission webhook "([^"]+)" denied/
const conversion = /conversion webhook for (.+?) failed/

/** Whether the answer comes of a webhook that cannot be reached: the same a second later, and another one when its service is there. */
export function isOfWebhook(error: ApiError): boolean {
  return webhookCall.test(error.message) || conversion.test(error.message)
}

/** Lists with the same key twice, as of environment variables, are valid, and there are some; server-side apply cannot merge them. */
export function cannotBeMerged(error: ApiError): boolean {
  return /duplicate entries for key|failed to create typed (patch|live) object/.test(error.message)
}

/** A 5xx that asking again does not help. The allocator of ports says 500 for one that is taken. */
export function isHopeless(error: ApiError): boolean {
  return isOfWebhook(error) || cannotBeMerged(error) || error.message.includes('already allocated')
}

/**
 * What an answer of the API means for the object.
 * @param secret the server's words are not passed on: they may quote values
 */
export function refusalOf(error: ApiError, { secret }: { secret: boolean }): Refusal {
  const webhook = webhookCall.exec(error.message)?.[1]
  const said = secret ? inOtherWords(error) : wordsOf(error)
  if (webhook !== undefined) {
    return new Refusal(`the webhook ${webhook} cannot be asked${secret ? '' : `: ${causeOf(said)}`}`, {
      next: `Bring the service of ${webhook} up, or remove its configuration: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations -o yaml | grep -n ${webhook}`,
      mayPass: true,
    })
  }
  if (conversion.test(error.message)) {
    return new Refusal(`its conversion webhook cannot be asked${secret ? '' : `: ${said}`}`, {
      next: 'Bring the operator that owns the definition up; then the same command again.',
      mayPass: true,
    })
  }
  if (webhookDenial.test(error.message)) {
    return new Refusal(said, { next: 'Ask whoever owns that webhook, or mend the object and apply it by hand.' })
  }
  const mayPass = error.status === 404 || error.status === 409 || /not found|being terminated/.test(error.message)
  return new Refusal(said, { next: nextFor(error), mayPass })
}

function wordsOf(error: ApiError): string {
  // Without the method and path in front, which the object's name says better.
  return error.message.replace(/^[A-Z]+ \S+: /, '')
}

function inOtherWords(error: ApiError): string {
  const denied = webhookDenial.exec(error.message)?.[1]
  if (denied !== undefined) return `${error.status}: the webhook ${denied} denies it`
  const fields = fieldsNamedBy(error.body)
  return `${error.status} ${error.reason}${fields.length > 0 ? `: ${fields.join(', ')}` : ''}`
}

function fieldsNamedBy(body: string): string[] {
  try {
    const { details } = JSON.parse(body) as { details?: { causes?: { field?: string }[] } }
    return (details?.causes ?? []).flatMap(({ field }) => field ?? [])
  } catch {
    return []
  }
}

const causeOf = (said: string) => said.slice(said.indexOf('": ') + 3)

function nextFor(error: ApiError): string {
  if (/being terminated/.test(error.message)) return 'Wait until its namespace is gone; then the same command again.'
  if (/immutable|updates to .* are forbidden/.test(error.message)) {
    return 'Remove it from the cluster first, when what it stands for can be spared; then the same command again.'
  }
  return error.status === 403 ? 'Mend what it says; then the same command again.' : error.next
}
