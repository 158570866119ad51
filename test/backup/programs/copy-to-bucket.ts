import { copySource } from '../../../lib/backup/copy.ts'
import { bucketPlace } from '../../../lib/backup/copy-s3.ts'

/** Copies a backup to a bucket, and says each file: copy-to-bucket.ts FOLDER URL */
const [, , folder = '', url = ''] = process.argv
await bucketPlace(url, process.env).take(await copySource(folder), (path) => console.log(path))
console.log('copied')
