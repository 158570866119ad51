import { html, raw } from 'hono/html'
import { redact } from '../migration/redact.ts'
import type { Fragment } from './fragment.ts'
import { style } from './style.ts'

/**
 * One HTML file that needs nothing else: no script, no network (its own policy forbids it), light and dark by the reader's settings, readable on a
 * phone and on paper. What looks like a credential is taken out.
 * Source: https://www.w3.org/TR/CSP3/ (the policy), https://www.w3.org/TR/mediaqueries-5/#prefers-color-scheme
 */
export async function renderDocument(title: string, body: readonly (Fragment | '')[]): Promise<string> {
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>${title}</title><style>${raw(style)}</style></head>
<body><main>
${body.map((part) => html`${part}\n`)}
</main></body></html>
`
  return redact(String(await page))
}
