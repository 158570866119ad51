import type { Find } from '../../../lib/rewrite/cluster/fields.ts'

export const old = '192.168.1.54'
export const young = '192.168.1.60'

/** Finds the old address of these tests where it stands alone. */
export const findOld: Find = (text) =>
  [...text.matchAll(/(?<![\d.])192\.168\.1\.54(?!\d|\.\d)/g)].map(({ index }) => ({
    start: index,
    end: index + old.length,
    becomes: young,
  }))
