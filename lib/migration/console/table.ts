import { fitColumns, wrap } from './fit.ts'

/**
 * Columns as wide as their widest cell, two spaces between; as kubectl prints them. What is wider than the terminal has cells of several lines, or, where
 * its columns would be too narrow to be read, each row as a list of its own.
 * @param width in characters
 */
export function renderTable(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  width = Number.POSITIVE_INFINITY,
): string[] {
  const titles = columns.map((column) => column.toUpperCase())
  const natural = columns.map((column, i) => Math.max(column.length, ...rows.map((row) => (row[i] ?? '').length)))
  const widths = fitColumns(natural, width)
  if (widths === undefined) return rows.flatMap((row, i) => [...(i > 0 ? [''] : []), ...asList(titles, row, width)])
  return [titles, ...rows].flatMap((row) => asRow(row, widths))
}

function asRow(cells: readonly string[], widths: readonly number[]): string[] {
  const wrapped = widths.map((width, i) => wrap(cells[i] ?? '', width))
  const height = Math.max(...wrapped.map((lines) => lines.length))
  return Array.from({ length: height }, (_, line) =>
    widths
      .map((width, i) => (wrapped[i]?.[line] ?? '').padEnd(width))
      .join('  ')
      .trimEnd(),
  )
}

function asList(titles: readonly string[], cells: readonly string[], width: number): string[] {
  const indent = Math.max(...titles.map((title) => title.length)) + 2
  return titles.flatMap((title, i) => {
    const lines = cells[i] ? wrap(cells[i], width - indent) : []
    return lines.map((line, n) => (n === 0 ? title : '').padEnd(indent) + line)
  })
}
