// Practice-machine simulates one Talos machine.
package main

import (
	_ "github.com/cosi-project/runtime/pkg/state/impl/inmem"
	_ "github.com/cosi-project/runtime/pkg/state/protobuf/server"
	_ "github.com/siderolabs/crypto/x509"
	_ "github.com/siderolabs/grpc-proxy/proxy"
	_ "go.etcd.io/etcd/client/v3"
	_ "golang.org/x/sync/errgroup"
	_ "google.golang.org/grpc"

	_ "talos-migrate.invalid/machine/internal/facts"
)

func main() {}
