import type { Outage } from './outage.ts'
import type { Story } from './story.ts'

/** A finding of a check, as it was shown. */
export interface Finding {
  readonly check: string
  readonly subject: string
  readonly evidence: string
  readonly wayOut: string
}

/** Findings under one heading, such as `Newly broken`. */
export interface FindingList {
  readonly title: string
  readonly bad: boolean
  readonly findings: readonly Finding[]
}

/** What a run of checks came to. */
export interface Checked {
  readonly at: string
  readonly lists: readonly FindingList[]
  /** names of the checks that found nothing */
  readonly fine: readonly string[]
}

export interface VolumeRow {
  readonly claim: string
  readonly size: string
  readonly storageClass: string
  readonly usedBy: readonly string[]
  readonly fate: string
  readonly kept: boolean
}

/** A number of the cluster before the evening and after it; an empty text where it is not known. */
export interface Figure {
  readonly what: string
  readonly before: string
  readonly after: string
}

/** What the same evening took in a rehearsal on this machine. */
export interface Rehearsed {
  readonly at: string
  readonly phases: readonly { readonly name: string; readonly seconds: number }[]
  /** seconds without API */
  readonly outage: number
}

/** All that the report shows. Plain texts without secrets; every one of them is escaped where it is shown. */
export interface ReportFacts {
  readonly clusterName: string
  readonly story: Story
  readonly outages: readonly Outage[]
  readonly figures: readonly Figure[]
  readonly volumes: readonly VolumeRow[]
  readonly preflight: Checked | null
  readonly verdict: Checked | null
  /** name and value: versions, hashes, folders */
  readonly evidence: readonly (readonly [string, string])[]
  readonly rehearsed: Rehearsed | null
}
