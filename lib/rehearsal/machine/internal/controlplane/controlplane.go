// Package controlplane runs the real Kubernetes control plane of a machine with what Talos would render for its static pods.
package controlplane

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config"

	"talos-migrate.invalid/machine/internal/cable"
	"talos-migrate.invalid/machine/internal/machinefile"
	"talos-migrate.invalid/machine/internal/process"
)

const (
	pollInterval          = 100 * time.Millisecond
	restartDelay          = time.Second
	stopGrace             = 2 * time.Second
	probeTimeout          = 2 * time.Second
	controllerManagerPort = 10257
	schedulerPort         = 10259
)

// Options describe one machine's control plane.
type Options struct {
	Config   config.Provider
	Binaries machinefile.Binaries
	Hostname string
	Address  string
	Folder   string                   // for rendered files; gone when the machine is off
	Log      func(name string) string // the log file of a program
	Cable    *cable.Cable
	// APIReady and Ready are called once, when the API server and when all three answer that they are ready.
	APIReady func()
	Ready    func()
	// NodeReady is called once, when the machine's own Node is ready.
	NodeReady func()
}

// Service is the control plane of one machine.
type Service struct {
	options Options
	files   folder
}

// New returns a control plane that has not been started.
func New(options Options) *Service {
	return &Service{options: options, files: folder(options.Folder)}
}

// Kubeconfig is the path of an administrator's kubeconfig for the machine itself; it exists once Prepare has returned.
func (service *Service) Kubeconfig() string { return service.files.path("admin.kubeconfig") }

// Prepare renders the files.
func (service *Service) Prepare() error { return service.render() }

type component struct {
	name      string
	path      string
	arguments func() ([]string, error)
}

// Run keeps the three programs running until ctx ends, and returns when they have ended. Etcd has to be healthy.
func (service *Service) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()

	apiContext, stopAPI := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAPI()

	binaries := service.options.Binaries

	running.Add(1)

	go func() {
		defer running.Done()

		service.keep(apiContext, component{name: "kube-apiserver", path: binaries.KubeAPIServer, arguments: service.apiServerArguments})
	}()

	if !service.awaitAPI(ctx) {
		return
	}

	service.options.APIReady()

	var followers sync.WaitGroup
	defer followers.Wait()

	for _, one := range []component{
		{name: "kube-controller-manager", path: binaries.KubeControllerManager, arguments: service.controllerManagerArguments},
		{name: "kube-scheduler", path: binaries.KubeScheduler, arguments: service.schedulerArguments},
	} {
		followers.Add(1)

		go func() {
			defer followers.Done()

			service.keep(ctx, one)
		}()
	}

	if service.awaitHealthy(ctx, controllerManagerPort) && service.awaitHealthy(ctx, schedulerPort) {
		service.options.Ready()
	}

	if service.awaitNode(ctx) {
		service.options.NodeReady()
	}

	<-ctx.Done()
}

// keep starts a program again whenever it ends, as the kubelet does with a static pod.
func (service *Service) keep(ctx context.Context, one component) {
	for ctx.Err() == nil {
		service.live(ctx, one)

		select {
		case <-ctx.Done():
		case <-time.After(restartDelay):
		}
	}
}

func (service *Service) live(ctx context.Context, one component) {
	arguments, err := one.arguments()
	if err != nil {
		log.Printf("%s: %v", one.name, err)

		return
	}

	logFile := service.options.Log(one.name)
	_ = os.MkdirAll(filepath.Join(filepath.Dir(logFile), "audit"), 0o700)

	child, err := process.Start(process.Command{Name: one.name, Path: one.path, Args: arguments, LogFile: logFile})
	if err != nil {
		log.Printf("%s: %v", one.name, err)

		return
	}

	select {
	case <-ctx.Done():
		child.Stop(stopGrace)
	case <-child.Done():
		log.Printf("%s ended by itself: %v; see %s", one.name, child.Err(), logFile)
	}
}

// awaitAPI joins the API server to the network when it listens, and returns when it is ready.
func (service *Service) awaitAPI(ctx context.Context) bool {
	address := net.JoinHostPort(service.options.Cable.Localhost(), strconv.Itoa(service.port()))

	if !poll(ctx, func() bool {
		conn, err := net.DialTimeout("tcp4", address, probeTimeout)
		if err != nil {
			return false
		}

		conn.Close() //nolint:errcheck

		return true
	}) {
		return false
	}

	service.options.Cable.Open(service.port())
	context.AfterFunc(ctx, func() { service.options.Cable.Close(service.port()) })

	return service.awaitOK(ctx, "https://"+address+"/readyz", nil)
}

// awaitNode waits for the Node of the kubelet.
func (service *Service) awaitNode(ctx context.Context) bool {
	address := net.JoinHostPort(service.options.Cable.Localhost(), strconv.Itoa(service.port()))

	return service.awaitOK(ctx, "https://"+address+"/api/v1/nodes/"+service.options.Hostname, func(body io.Reader) bool {
		var node struct {
			Status struct {
				Conditions []struct{ Type, Status string }
			}
		}

		if err := json.NewDecoder(body).Decode(&node); err != nil {
			return false
		}

		return slices.ContainsFunc(node.Status.Conditions, func(condition struct{ Type, Status string }) bool {
			return condition.Type == "Ready" && condition.Status == "True"
		})
	})
}

func (service *Service) awaitHealthy(ctx context.Context, port int) bool {
	return service.awaitOK(ctx, "https://"+net.JoinHostPort(service.options.Cable.Localhost(), strconv.Itoa(port))+"/healthz", nil)
}

// awaitOK waits until a request, made as an administrator, is answered 200 with a body that is accepted.
func (service *Service) awaitOK(ctx context.Context, url string, accept func(io.Reader) bool) bool {
	certificate, err := tls.LoadX509KeyPair(service.files.path("apiserver-kubelet-client.crt"), service.files.path("apiserver-kubelet-client.key"))
	if err != nil {
		log.Printf("control plane: %v", err)

		return false
	}

	transport := &http.Transport{
		// the controller manager and the scheduler make their own certificates, and all of this stays on the machine
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{certificate}}, //nolint:gosec
	}
	defer transport.CloseIdleConnections()

	client := &http.Client{Transport: transport, Timeout: probeTimeout}

	return poll(ctx, func() bool {
		response, err := client.Get(url)
		if err != nil {
			return false
		}

		defer response.Body.Close() //nolint:errcheck

		return response.StatusCode == http.StatusOK && (accept == nil || accept(response.Body))
	})
}

func poll(ctx context.Context, met func() bool) bool {
	for !met() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pollInterval):
		}
	}

	return ctx.Err() == nil
}
