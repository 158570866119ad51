import test from 'ava'
import { isOnNetwork, mountTables, onSameFileSystem, unmountedPoint } from '../../lib/backup/mounts.ts'
import { smallDisk } from '../small-disk.ts'
import { scratchFolder } from './keys.ts'

const fstab = [
  '# device mount-point type options dump pass',
  'UUID=0000 / ext4 defaults 0 1',
  'nas:/volume1/backup /mnt/nas nfs defaults,_netdev 0 0',
  '//nas/share /mnt/with\\040space cifs credentials=/root/.smb 0 0',
  'UUID=0001 none swap sw 0 0',
].join('\n')
const root = '/dev/sda1 / ext4 rw 0 0\n'

test('a mount point of fstab where nothing is mounted is found, from any path below it', (t) => {
  const tables = { fstab, mounts: root }
  t.is(unmountedPoint('/mnt/nas', tables), '/mnt/nas')
  t.is(unmountedPoint('/mnt/nas/talos/backup', tables), '/mnt/nas')
  t.is(unmountedPoint('/mnt/with space/backup', tables), '/mnt/with space')
  for (const path of ['/mnt/nas2', '/mnt', '/home/me/backup', '/']) t.is(unmountedPoint(path, tables), undefined, path)
})

test('one that is mounted, or waits to be by autofs, is fine; where nothing is known nothing is said', (t) => {
  for (const line of ['nas:/volume1/backup /mnt/nas nfs4 rw 0 0\n', 'systemd-1 /mnt/nas autofs rw 0 0\n']) {
    t.is(unmountedPoint('/mnt/nas/x', { fstab, mounts: root + line }), undefined)
  }
  t.is(unmountedPoint('/mnt/nas/x', { fstab, mounts: '' }), undefined)
  t.is(unmountedPoint('/mnt/nas/x', { fstab: '', mounts: root }), undefined)
})

test('what is mounted on this machine is seen', async (t) => {
  const { folder } = smallDisk(t, '1m')
  const { mounts } = await mountTables()
  t.true(mounts.includes(` ${folder} tmpfs `))
  t.false(await onSameFileSystem(folder, await scratchFolder(t)))
  t.true(await onSameFileSystem(`${folder}/not/yet`, folder))
  t.false(await isOnNetwork(folder))
})
