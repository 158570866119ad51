import test from 'ava'
import { formatBytes } from '../../../lib/migration/console/bytes.ts'

test('bytes are told in the units that disks are sold in', (t) => {
  const told = [0, 1, 999_999, 1_000_000, 2_345_678_901, 10 * 1024 ** 3, 4 * 1024 ** 4].map(formatBytes)
  t.deepEqual(told, ['0 kB', '1 kB', '1000 kB', '1.0 MB', '2.3 GB', '10.7 GB', '4.4 TB'])
})
