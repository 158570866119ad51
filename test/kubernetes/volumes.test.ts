import test from 'ava'
import { parseQuantity } from '../../lib/kubernetes/volumes.ts'

test('quantities are read with binary, decimal and no units', (t) => {
  t.is(parseQuantity('10Gi'), 10 * 1024 ** 3)
  t.is(parseQuantity('500M'), 500_000_000)
  t.is(parseQuantity('1.5Ti'), 1.5 * 1024 ** 4)
  t.is(parseQuantity('1024'), 1024)
  t.is(parseQuantity('5k'), 5000)
})

test('what is no quantity of bytes counts as nothing', (t) => {
  for (const text of ['', 'lots', '100m', '-5Gi']) t.is(parseQuantity(text), 0, text)
})
