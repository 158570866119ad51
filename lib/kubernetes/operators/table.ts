/** How an operator (or an autoscaler) is told to leave its workloads alone. */
export interface Pause {
  /** the field of the custom resource, from its root */
  readonly field: readonly string[]
  readonly value: boolean | string | number | never[]
  /** set only where the field has this value; anywhere that has not ours yet, if not given */
  readonly from?: boolean | string | number
  /** what that is called; Pause, if not given */
  readonly verb?: string
  /** end: the operator ends the pods by itself. stay: it only looks away, and the workload is scaled down besides. */
  readonly pods: 'end' | 'stay'
}

/** One operator, by the custom resources of one API group that make workloads. */
export interface Operator {
  readonly group: string
  /** in the plural, as the API serves them */
  readonly resources: readonly string[]
  /** null: it cannot be told, so its own Deployment is scaled down before its workloads */
  readonly pause: Pause | null
  /** by what else it is told where the operator does not heed `pause`: neither is there this condition, nor do pods go */
  readonly otherwise?: { readonly unlessCondition: string; readonly pause: Pause }
  /** where the resource names the one workload that it scales; it is paused only when that one is scaled down */
  readonly scales?: readonly string[]
}

const spec = (name: string, value: Pause['value'], pods: Pause['pods']): Pause => ({
  field: ['spec', name],
  value,
  pods,
})
const annotation = (name: string, value: string, pods: Pause['pods']): Pause => ({
  field: ['metadata', 'annotations', name],
  value,
  pods,
})
const label = (name: string, value: string): Pause => ({ field: ['metadata', 'labels', name], value, pods: 'stay' })

/**
 * Every operator that is known here; the next one is one more row. A row whose field the installed version does not have
 * yet (its API server drops it) counts as one that cannot be told.
 */
export const operators: readonly Operator[] = [
  // https://prometheus-operator.dev/docs/api-reference/api/ (paused)
  {
    group: 'monitoring.coreos.com',
    resources: ['prometheuses', 'prometheusagents', 'alertmanagers', 'thanosrulers'],
    pause: spec('paused', true, 'stay'),
  },
  // https://docs.victoriametrics.com/operator/api/ (paused): VM…, VL…, VT… for metrics, logs and traces
  {
    group: 'operator.victoriametrics.com',
    resources: [
      'vmsingles',
      'vmclusters',
      'vmagents',
      'vmalerts',
      'vmalertmanagers',
      'vlogs',
      'vlsingles',
      'vlclusters',
      'vlagents',
      'vtsingles',
      'vtclusters',
    ],
    pause: spec('paused', true, 'stay'),
  },
  // https://grafana.github.io/grafana-operator/docs/api/ (suspend)
  { group: 'grafana.integreatly.org', resources: ['grafanas'], pause: spec('suspend', true, 'stay') },
  // https://fluxcd.control-plane.io/operator/fluxinstance/ (what applies Flux itself, and its Kustomizations)
  {
    group: 'fluxcd.controlplane.io',
    resources: ['fluxinstances', 'resourcesets'],
    pause: annotation('fluxcd.controlplane.io/reconcile', 'disabled', 'stay'),
  },
  // https://cloudnative-pg.io/documentation/current/declarative_hibernation/ (since 1.20), and before that
  // https://cloudnative-pg.io/documentation/current/fencing/: PostgreSQL is shut down, and its pods stay.
  {
    group: 'postgresql.cnpg.io',
    resources: ['clusters'],
    pause: annotation('cnpg.io/hibernation', 'on', 'end'),
    otherwise: {
      unlessCondition: 'cnpg.io/hibernation',
      pause: { ...annotation('cnpg.io/fencedInstances', '["*"]', 'stay'), verb: 'Fence' },
    },
  },
  // https://access.crunchydata.com/documentation/postgres-operator/latest/references/crd (shutdown)
  {
    group: 'postgres-operator.crunchydata.com',
    resources: ['postgresclusters'],
    pause: spec('shutdown', true, 'end'),
  },
  // https://docs.percona.com/percona-operator-for-mongodb/pause.html
  { group: 'psmdb.percona.com', resources: ['perconaservermongodbs'], pause: spec('pause', true, 'end') },
  // https://docs.percona.com/percona-operator-for-mysql/pxc/pause.html
  { group: 'pxc.percona.com', resources: ['perconaxtradbclusters'], pause: spec('pause', true, 'end') },
  // https://docs.percona.com/percona-operator-for-postgresql/2.0/pause.html
  { group: 'pgv2.percona.com', resources: ['perconapgclusters'], pause: spec('pause', true, 'end') },
  // https://github.com/mongodb/mongodb-kubernetes-operator/issues/731: neither a pause nor 0 members.
  { group: 'mongodbcommunity.mongodb.com', resources: ['mongodbcommunity'], pause: null },
  { group: 'mongodb.com', resources: ['mongodb', 'mongodbmulticluster', 'opsmanagers'], pause: null },
  // https://github.com/mariadb-operator/mariadb-operator/blob/main/docs/suspend.md
  { group: 'k8s.mariadb.com', resources: ['mariadbs', 'maxscales'], pause: spec('suspend', true, 'stay') },
  // https://github.com/Altinity/clickhouse-operator/blob/master/deploy/operator/parts/crd.yaml (stop: replicas 0, PVCs are kept)
  { group: 'clickhouse.altinity.com', resources: ['clickhouseinstallations'], pause: spec('stop', 'yes', 'end') },
  // The Keeper has no stop; suspend came with 0.25.
  {
    group: 'clickhouse-keeper.altinity.com',
    resources: ['clickhousekeeperinstallations'],
    pause: spec('suspend', 'yes', 'stay'),
  },
  // https://github.com/opensearch-project/opensearch-k8s-operator/blob/main/docs/userguide/main.md: no pause.
  { group: 'opensearch.opster.io', resources: ['opensearchclusters'], pause: null },
  { group: 'opensearch.org', resources: ['opensearchclusters'], pause: null },
  // https://www.elastic.co/guide/en/cloud-on-k8s/current/k8s-exclude-resource.html
  {
    group: 'elasticsearch.k8s.elastic.co',
    resources: ['elasticsearches'],
    pause: annotation('eck.k8s.elastic.co/managed', 'false', 'stay'),
  },
  {
    group: 'kibana.k8s.elastic.co',
    resources: ['kibanas'],
    pause: annotation('eck.k8s.elastic.co/managed', 'false', 'stay'),
  },
  {
    group: 'logstash.k8s.elastic.co',
    resources: ['logstashes'],
    pause: annotation('eck.k8s.elastic.co/managed', 'false', 'stay'),
  },
  // https://www.rabbitmq.com/kubernetes/operator/using-operator#pause
  {
    group: 'rabbitmq.com',
    resources: ['rabbitmqclusters'],
    pause: label('rabbitmq.com/pauseReconciliation', 'true'),
  },
  // https://strimzi.io/docs/operators/latest/deploying#proc-pausing-reconciliation-str
  {
    group: 'kafka.strimzi.io',
    resources: ['kafkas', 'kafkaconnects', 'kafkabridges', 'kafkamirrormaker2s'],
    pause: annotation('strimzi.io/pause-reconciliation', 'true', 'stay'),
  },
  // https://github.com/strimzi/strimzi-kafka-operator/issues/8712: while the Kafka above is paused, the pods that the set does not
  // list are ended, and come back when it lists them again. The set itself cannot be paused: …/issues/10042.
  { group: 'core.strimzi.io', resources: ['strimzipodsets'], pause: spec('pods', [], 'end') },
  // https://github.com/dragonflydb/dragonfly-operator/blob/main/api/v1alpha1/dragonfly_types.go: no pause.
  { group: 'dragonflydb.io', resources: ['dragonflies'], pause: null },
  // https://redis-operator.opstree.dev/docs/advance-configuration/ (skip-reconcile)
  {
    group: 'redis.redis.opstreelabs.in',
    resources: ['redis'],
    pause: annotation('redis.opstreelabs.in/skip-reconcile', 'true', 'stay'),
  },
  {
    group: 'redis.redis.opstreelabs.in',
    resources: ['redisclusters'],
    pause: annotation('rediscluster.opstreelabs.in/skip-reconcile', 'true', 'stay'),
  },
  // https://github.com/minio/operator/pull/772: a tenant.spec.freeze was proposed, and never merged.
  { group: 'minio.min.io', resources: ['tenants'], pause: null },
  // https://keda.sh/docs/latest/concepts/scaling-deployments/#pausing-autoscaling: KEDA takes its HPA away meanwhile.
  {
    group: 'keda.sh',
    resources: ['scaledobjects'],
    pause: annotation('autoscaling.keda.sh/paused-replicas', '0', 'stay'),
    scales: ['spec', 'scaleTargetRef'],
  },
  // https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation:
  // at 0 replicas it is off by itself, unless 0 is a number that it may choose.
  {
    group: 'autoscaling',
    resources: ['horizontalpodautoscalers'],
    pause: { ...spec('minReplicas', 1, 'stay'), from: 0 },
    scales: ['spec', 'scaleTargetRef'],
  },
]
