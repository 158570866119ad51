/** Where a long piece of work tells how it is going. The Console of lib/migration is one. */
export interface Progress {
  info(text: string): void
  warn(text: string): void
  /** Replaces the live text of what is going on now. */
  detail(text: string): void
}
