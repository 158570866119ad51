import type { Baseline } from '../baseline.ts'
import type { Finding } from '../check.ts'

/** What the checks of a cluster's state look at: how it is, and how it was before. */
export interface Comparable {
  readonly now: Baseline
  readonly before: Baseline
}

/** A check that reads nothing itself, so that the same one tells what was broken before and what is broken now. */
export interface StateCheck {
  readonly name: string
  /** it finds what is otherwise than before, and so nothing in one state alone */
  readonly compares?: true
  /** it goes by what others than the API have answered, which is not always asked */
  readonly asksOthers?: true
  run(context: Comparable): readonly Finding[]
}
