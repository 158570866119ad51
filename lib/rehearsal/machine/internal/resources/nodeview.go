package resources

import (
	"context"
	"slices"
	"strings"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"talos-migrate.invalid/machine/internal/facts"
	"talos-migrate.invalid/machine/internal/kubeclient"
)

// nodeView is what the Kubernetes API says of this node. It is empty while there is no API.
type nodeView struct {
	node *corev1.Node
	pods []staticPodView
}

type staticPodView struct {
	id     string
	status corev1.PodStatus
}

func (view nodeView) resources() []resource.Resource {
	var all []resource.Resource

	if view.node != nil {
		status := k8s.NewNodeStatus(k8s.NamespaceName, view.node.Name)
		*status.TypedSpec() = k8s.NodeStatusSpec{
			Nodename:      view.node.Name,
			NodeReady:     nodeReady(view.node),
			Unschedulable: view.node.Spec.Unschedulable,
			Labels:        view.node.Labels,
			Annotations:   view.node.Annotations,
		}
		all = append(all, status)
	}

	for _, pod := range view.pods {
		status := k8s.NewStaticPodStatus(k8s.NamespaceName, pod.id)
		status.TypedSpec().PodStatus = asMap(pod.status)
		all = append(all, status)
	}

	return all
}

// watchNode sends a view whenever the Node or one of its static pods changes.
func watchNode(ctx context.Context, m facts.Machine) <-chan nodeView {
	views := make(chan nodeView)

	watch := func(whileReachable context.Context, _ string, client *kubernetes.Clientset) error {
		defer sendView(ctx, views, nodeView{})

		// informers fill the log with complaints about an API that is not there yet
		if err := kubeclient.Reachable(whileReachable, client); err != nil {
			return err
		}

		return watchOneNode(whileReachable, client, m.Hostname(), views)
	}

	go kubeclient.Follow(ctx, m, watch, func(error) {})

	return views
}

func watchOneNode(ctx context.Context, client *kubernetes.Clientset, name string, views chan<- nodeView) error {
	nodes := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTweakListOptions(func(options *metav1.ListOptions) {
		options.FieldSelector = fields.OneTermEqualSelector("metadata.name", name).String()
	})).Core().V1().Nodes().Informer()

	pods := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(metav1.NamespaceSystem),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) {
			options.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", name).String()
		})).Core().V1().Pods().Informer()

	dirty := make(chan struct{}, 1)
	mark := func() {
		select {
		case dirty <- struct{}{}:
		default:
		}
	}

	for _, informer := range []cache.SharedIndexInformer{nodes, pods} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { mark() },
			UpdateFunc: func(any, any) { mark() },
			DeleteFunc: func(any) { mark() },
		}); err != nil {
			return err
		}

		go informer.RunWithContext(ctx)
	}

	for {
		select {
		case <-ctx.Done():
			return nil
		case <-dirty:
			sendView(ctx, views, viewOf(nodes.GetStore(), pods.GetStore()))
		}
	}
}

func viewOf(nodes, pods cache.Store) nodeView {
	var view nodeView

	for _, item := range nodes.List() {
		view.node, _ = item.(*corev1.Node)
	}

	for _, item := range pods.List() {
		pod, ok := item.(*corev1.Pod)
		if !ok || pod.Annotations[corev1.MirrorPodAnnotationKey] == "" {
			continue
		}

		view.pods = append(view.pods, staticPodView{id: pod.Namespace + "/" + pod.Name, status: pod.Status})
	}

	slices.SortFunc(view.pods, func(a, b staticPodView) int { return strings.Compare(a.id, b.id) })

	return view
}

func sendView(ctx context.Context, views chan<- nodeView, view nodeView) {
	select {
	case views <- view:
	case <-ctx.Done():
	}
}
