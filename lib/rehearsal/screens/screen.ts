import serialize from '@xterm/addon-serialize'
import xterm from '@xterm/headless'

/** The smallest terminal that an operator may sit at: that of a VT100, and of a console over a serial line. */
export const size = { columns: 80, rows: 24 } as const

const theme = { foreground: '#d8dade', background: '#14181d' } as const

/**
 * What a terminal of 80×24 shows of the bytes that a program has written to it: colours and redrawn lines as xterm has them.
 * Source: https://xtermjs.org/docs/api/terminal/classes/terminal/
 */
export class Screen {
  readonly #terminal = new xterm.Terminal({
    cols: size.columns,
    rows: size.rows,
    scrollback: 10_000,
    allowProposedApi: true,
    theme,
  })
  readonly #serializer = new serialize.SerializeAddon()

  constructor() {
    // Its types are those of the terminal in a browser, which says more than is asked here.
    this.#terminal.loadAddon(this.#serializer as unknown as xterm.ITerminalAddon)
  }

  /** @returns when the bytes are on the screen */
  write(bytes: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => this.#terminal.write(bytes, resolve))
  }

  /** The lines, those too that were scrolled away, without the empty ones at the end. */
  lines(): string[] {
    const { active } = this.#terminal.buffer
    const lines = Array.from({ length: active.length }, (_, row) => active.getLine(row)?.translateToString(true) ?? '')
    return lines.slice(0, lines.findLastIndex((line) => line !== '') + 1)
  }

  /** The 24 rows that are on the screen now, as an HTML page of their own. */
  html(): string {
    return this.#page(this.#terminal.buffer.active.baseY)
  }

  /**
   * As html(), scrolled back to the last line that holds a text.
   * @throws Error when none does
   */
  htmlFrom(text: string): string {
    const row = this.lines().findLastIndex((line) => line.includes(text))
    if (row < 0) throw new Error(`Nothing on the screen holds ${JSON.stringify(text)}.`)
    return this.#page(Math.min(row, this.#terminal.buffer.active.baseY))
  }

  #page(startLine: number): string {
    const rows = this.#serializer.serializeAsHTML({
      includeGlobalBackground: true,
      range: { startLine, endLine: startLine + size.rows - 1, startCol: 0 },
    })
    return `<!doctype html><meta charset="utf-8"><style>${style}</style>${rows}`
  }
}

// Each row as high as a line, the empty ones too; as wide as 80 characters, whatever is on it.
const style = `
  body { margin: 0; width: max-content; background: ${theme.background} }
  pre { margin: 0; padding: 12px 14px; font: 14px/18px 'DejaVu Sans Mono', monospace }
  pre > div { width: ${size.columns}ch }
  pre > div > div { height: 18px; overflow: hidden }
`
