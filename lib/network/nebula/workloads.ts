import { imageOf, secretsOf, type Template } from '../../kubernetes/templates.ts'

/** The image by which a pod template is known to run Nebula; undefined if none of its images is Nebula's. */
export function nebulaImageOf(template: Template): string | undefined {
  return imageOf(template, /(^|\/)nebula(:|@|$)|nebulaoss\//)
}

/** Kinds whose pods are made anew when the template changes. */
const rolled = ['DaemonSet', 'Deployment', 'StatefulSet']

/**
 * What runs Nebula and can be restarted: by its image, or because it mounts a Secret that holds a Nebula certificate.
 * @param secrets as NAMESPACE/NAME
 */
export function nebulaWorkloads(templates: readonly Template[], secrets: ReadonlySet<string>): Template[] {
  return templates.filter(
    (template) =>
      rolled.includes(template.kind) &&
      (nebulaImageOf(template) !== undefined || secretsOf(template).some(({ secret }) => secrets.has(secret))),
  )
}
