const secrets: readonly [RegExp, string][] = [
  [/AGE-SECRET-KEY-1[0-9A-Z]+/g, 'AGE-SECRET-KEY-[redacted]'],
  [/-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----[\s\S]*?(-----END \1-----|$)/g, '[redacted $1]'],
  // Base64 of "-----BEGIN … PRIVATE KEY": how keys stand in machine configs, kubeconfigs and talosconfigs.
  [/LS0tLS1CRUdJTi[A-Za-z0-9+/=]{40,}/g, '[redacted]'],
  [
    /\b(token|password|secret|secretboxEncryptionSecret|aescbcEncryptionSecret)(["']?\s*[:=]\s*["']?)[^\s"',}]{8,}/gi,
    '$1$2[redacted]',
  ],
  // The user of an ssh URL is no secret (git); of any other it may be a token.
  [/\b(ssh:\/\/[^/@:\s]+):[^/@\s]+@/g, '$1@'],
  [/\b((?:https?|oci|s3|redis|postgres(?:ql)?|mongodb(?:\+srv)?|amqps?):\/\/)[^/@\s"']+@/g, '$1[redacted]@'],
  [/\bBearer [A-Za-z0-9._~+/-]{8,}/g, 'Bearer [redacted]'],
]

/** Takes out what looks like a key or a credential, before anything is shown or logged. The last line of defence, not the first. */
export function redact(text: string): string {
  return secrets.reduce((shown, [pattern, replacement]) => shown.replace(pattern, replacement), text)
}

/** The same facts, with every text in them redacted. The names of fields are left as they are. */
export function redacted<T>(facts: T): T {
  return JSON.parse(JSON.stringify(facts), (_, value) => (typeof value === 'string' ? redact(value) : value)) as T
}
