/**
 * Stages for kwok by which pods behave as under a real kubelet whose containers ignore SIGTERM: they run, are ready
 * unless labelled `unready`, and end when their grace does. Finalizers are left to whoever set them. A pod labelled
 * `lingers` never ends; one labelled `completes` succeeds.
 */
export const punctualPods = `
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: { name: run }
spec:
  resourceRef: { apiGroup: v1, kind: Pod }
  selector:
    matchExpressions:
    - { key: .metadata.deletionTimestamp, operator: DoesNotExist }
    - { key: .status.podIP, operator: DoesNotExist }
  next:
    statusTemplate: |
      {{ $ready := "True" }}{{ $phase := "Running" }}
      {{ if .metadata.labels }}
      {{ if index .metadata.labels "unready" }}{{ $ready = "False" }}{{ end }}
      {{ if index .metadata.labels "completes" }}{{ $phase = "Succeeded" }}{{ $ready = "False" }}{{ end }}
      {{ end }}
      phase: {{ $phase }}
      podIP: 192.0.2.9
      startTime: {{ Now | Quote }}
      conditions:
      - { type: Ready, status: {{ $ready | Quote }}, lastTransitionTime: {{ Now | Quote }} }
      containerStatuses:
      {{ range .spec.containers }}
      - name: {{ .name | Quote }}
        image: {{ .image | Quote }}
        ready: {{ if eq $ready "True" }}true{{ else }}false{{ end }}
        restartCount: 0
        state: { running: { startedAt: {{ Now | Quote }} } }
      {{ end }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: { name: end }
spec:
  resourceRef: { apiGroup: v1, kind: Pod }
  selector:
    matchExpressions:
    - { key: .metadata.deletionTimestamp, operator: Exists }
    - { key: .metadata.labels.lingers, operator: DoesNotExist }
  delay:
    durationMilliseconds: 0
    durationFrom: { expressionFrom: .metadata.deletionTimestamp }
  next: { delete: true }
`
