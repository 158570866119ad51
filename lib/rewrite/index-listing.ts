import type { RepositoryPath } from './repository.ts'

/**
 * What Git tracks, as `git ls-files -z -v --stage` tells it: `TAG MODE OBJECT STAGE\tPATH`, each with a NUL behind it. It is looked through
 * as one text: to make 50,000 strings of it takes longer than Git takes to write it.
 */
export class IndexListing {
  readonly #text: string

  /** @param text latin1 */
  constructor(text: string) {
    this.#text = text
  }

  /** Files, links and submodules. */
  get paths(): RepositoryPath[] {
    return this.#pathsWhere(() => true)
  }

  /** What `git grep` passes over, or does not read from the disk: links, submodules, what Git was told to take as unchanged. */
  get ungrepped(): RepositoryPath[] {
    return this.#pathsWhere((at) => !this.#text.startsWith('H 100', at))
  }

  /** The paths in which an expression matches. */
  pathsWith(source: string): RepositoryPath[] {
    const pattern = new RegExp(source, 'g')
    const found: RepositoryPath[] = []
    for (let match = pattern.exec(this.#text); match !== null; match = pattern.exec(this.#text)) {
      const at = this.#text.lastIndexOf('\0', match.index) + 1
      const [tab, end] = [this.#text.indexOf('\t', at), this.#text.indexOf('\0', match.index)]
      // What stands before the tab is hexadecimal, as an address may be.
      const inPath = match.index > tab
      if (inPath) found.push(this.#pathIn(at, end))
      pattern.lastIndex = inPath ? end : tab
    }
    return found
  }

  #pathsWhere(counts: (at: number) => boolean): RepositoryPath[] {
    const found: RepositoryPath[] = []
    for (let at = 0, end = this.#text.indexOf('\0'); end >= 0; at = end + 1, end = this.#text.indexOf('\0', at)) {
      if (!counts(at)) continue
      const path = this.#pathIn(at, end)
      // A file in conflict has several entries, one behind the other.
      if (path !== found.at(-1)) found.push(path)
    }
    return found
  }

  #pathIn(at: number, end: number): RepositoryPath {
    return this.#text.slice(this.#text.indexOf('\t', at) + 1, end) as RepositoryPath
  }
}
