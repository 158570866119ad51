import type { Migration } from '../../migration/migration.ts'
import type { OutdatedConfig } from './change-hosts.ts'
import { describePlace, type NebulaFacts, type StoredCertificate } from './facts.ts'
import { withEdits } from './hosts.ts'
import type { Move } from './moves.ts'
import { authorityOf } from './renew.ts'
import { linesIn, type RepositoryFile } from './repository.ts'

const soonDays = 30
/** characters of a line that are shown */
const longest = 80

/** Shows what runs Nebula, whom its certificates are for, and where lighthouses are; warns of what ends or does not fit together. */
export function showNebula({ console, clock }: Migration, facts: NebulaFacts): void {
  const { workloads, certificates, configs } = facts
  console.info(`Nebula: ${workloads.map(({ owner }) => owner).join(', ') || 'what runs it was not found'}.`)
  const rows = certificates.map((certificate) => [
    certificate.isCa ? `${certificate.name} (CA)` : certificate.name,
    [...certificate.networks, ...certificate.unsafeNetworks].join(', '),
    certificate.groups.join(', '),
    certificate.notAfter.slice(0, 10),
    (certificate.isCa ? certificate.fingerprint : certificate.issuer).slice(0, 12),
    describePlace(certificate.place),
  ])
  const columns = ['certificate', 'networks', 'groups', 'ends', 'CA', 'where']
  if (rows.length > 0) console.table('Nebula certificates', columns, rows)
  const hosts = configs.flatMap(({ place, staticHostMap, lighthouses }) =>
    staticHostMap.map(({ mesh, underlay }) => [
      mesh,
      underlay.join(', '),
      lighthouses.includes(mesh) ? 'lighthouse' : '',
      describePlace(place),
    ]),
  )
  if (hosts.length > 0) console.table('static_host_map', ['mesh', 'underlay', '', 'where'], hosts)
  for (const warning of warningsOf(facts, clock.now())) console.warn(warning)
}

/** What an operator must know of certificates: who ends soon, who has ended, whose CA is not there. */
export function warningsOf(facts: NebulaFacts, now: Date): string[] {
  return facts.certificates.flatMap((certificate) => {
    const called = `The certificate of ${certificate.name} (${describePlace(certificate.place)})`
    const days = Math.floor((Date.parse(certificate.notAfter) - now.getTime()) / 86_400_000)
    const ends = endOf(days)
    return [
      ...(ends === undefined ? [] : [`${called} ${ends}.`]),
      ...(lacksAuthority(facts, certificate) ? [`${called} was signed by a CA that is not beside it.`] : []),
    ]
  })
}

/** Shows who holds what is outdated, so that it is clear whether Git or the cluster is to be changed. */
export function showOutdated(
  { console }: Migration,
  outdated: readonly OutdatedConfig[],
  moves: readonly Move[],
): void {
  const rows = outdated.flatMap(({ config, edits, holder }) =>
    edits.map(({ entry, to }) => [entry, to, describePlace(config.place), holder ?? 'the cluster alone']),
  )
  if (rows.length > 0) console.table('Nebula hosts that change', ['entry', 'to be', 'where', 'held by'], rows)
  for (const { config, edits } of outdated) {
    // A rule of the firewall, a comment: what it is to be is not known, and a line of a Secret is not shown.
    for (const { line, text, moves: held } of linesIn(withEdits(config.text, edits), moves)) {
      const shown = config.place.kind === 'Secret' ? '' : `: ${text}`
      console.warn(
        `${describePlace(config.place)}, line ${line}, holds ${held.map(({ from }) => from).join(' and ')} too, and is yours to change${shown}`,
      )
    }
  }
}

/** Shows the lines of the repository in which an address stands that changes; migrate:rewrite-ip changes them. */
export function showRepository(
  { console }: Migration,
  files: readonly RepositoryFile[] | null,
  moves: readonly Move[],
) {
  if (files === null) return console.info('HOMELAB_DIR is no git repository: no static_host_map was looked for there.')
  const rows = files.flatMap(({ file, lines }) =>
    lines.map(({ line, text, moves: held }) => [
      `${file}:${line}`,
      text.length > longest ? `${text.slice(0, longest)}…` : text,
      held.map(({ from, to }) => `${from} → ${to}`).join(', '),
    ]),
  )
  if (rows.length > 0) console.table('static_host_map in the repository', ['where', 'line', 'move'], rows)
  else if (moves.length > 0)
    console.info(`No static_host_map of the repository (${files.length} files) holds an address that changes.`)
  const maps = moves.map(({ from, to }) => `--map ${from}=${to}`).join(' ')
  if (rows.length > 0) console.info(`The repository is changed by: task migrate:rewrite-ip -- ${maps}`)
}

function endOf(days: number): string | undefined {
  if (days < 0) return 'has ended'
  return days < soonDays ? `ends in ${days} days` : undefined
}

function lacksAuthority(facts: NebulaFacts, certificate: StoredCertificate): boolean {
  return !certificate.isCa && authorityOf(facts, certificate) === undefined
}
