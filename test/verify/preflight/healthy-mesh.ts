import { makeAuthority } from '../../network/nebula/authority.ts'

const authority = makeAuthority('homelab', '-ips', '10.42.0.0/16', '-duration', '8760h')

/** The certificate of talos00 in the mesh. @param duration how long it lasts: `48h` */
export function nebulaHost(duration: string): string {
  return authority.host('talos00', '10.42.1.1/16', '-duration', duration).certificate
}
