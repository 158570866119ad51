// Package trustd lets worker machines, which have no CA keys, get their certificates from a control plane machine.
package trustd

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	stdx509 "crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"time"

	"github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/api/security"
	"github.com/siderolabs/talos/pkg/machinery/config"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	lifetime  = 24 * time.Hour
	clockSkew = 10 * time.Second
	// kubeletService is not Talos': a kubelet gets its client certificate by way of a bootstrap token and an approved
	// request in Kubernetes. Here it asks the same server, with the same token as for the machine's certificate.
	kubeletService = "practice.KubeletService"
	method         = "Certificate"
)

type server struct {
	security.UnimplementedSecurityServiceServer

	config func() config.Provider
}

// Serve answers on listener until ctx ends. serverTLS is the machine's own identity, present the config in force.
func Serve(ctx context.Context, listener net.Listener, serverTLS *tls.Config, present func() config.Provider) {
	s := &server{config: present}

	registrar := grpc.NewServer(grpc.Creds(credentials.NewTLS(serverTLS)), grpc.UnaryInterceptor(s.checkToken))
	security.RegisterSecurityServiceServer(registrar, s)
	registrar.RegisterService(&grpc.ServiceDesc{
		ServiceName: kubeletService,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: method, Handler: func(
			_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor,
		) (any, error) {
			in := new(security.CertificateRequest)
			if err := decode(in); err != nil {
				return nil, err
			}

			return intercept(ctx, in, &grpc.UnaryServerInfo{Server: s}, func(_ context.Context, _ any) (any, error) { return s.kubelet(in) })
		}}},
	}, s)

	stop := context.AfterFunc(ctx, registrar.Stop)
	defer stop()

	registrar.Serve(listener) //nolint:errcheck
}

func (s *server) checkToken(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	wanted := []byte(s.config().Machine().Security().Token())

	for _, token := range metadata.ValueFromIncomingContext(ctx, "token") {
		if subtle.ConstantTimeCompare([]byte(token), wanted) == 1 {
			return handler(ctx, request)
		}
	}

	return nil, status.Error(codes.Unauthenticated, "the machine token is wrong")
}

// Certificate signs a worker's apid server certificate.
func (s *server) Certificate(_ context.Context, in *security.CertificateRequest) (*security.CertificateResponse, error) {
	return sign(s.config().Machine().Security().IssuingCA(), in, stdx509.ExtKeyUsageServerAuth, func(subject *pkix.Name) {
		subject.Organization = nil
	})
}

func (s *server) kubelet(in *security.CertificateRequest) (*security.CertificateResponse, error) {
	return sign(s.config().Cluster().IssuingCA(), in, stdx509.ExtKeyUsageClientAuth, func(*pkix.Name) {})
}

func sign(
	ca *x509.PEMEncodedCertificateAndKey, in *security.CertificateRequest, usage stdx509.ExtKeyUsage, subject func(*pkix.Name),
) (*security.CertificateResponse, error) {
	if block, _ := pem.Decode(in.GetCsr()); block == nil {
		return nil, status.Error(codes.InvalidArgument, "failed to decode CSR")
	}

	signed, err := x509.NewCertificateFromCSRBytes(ca.Crt, ca.Key, in.GetCsr(),
		x509.KeyUsage(stdx509.KeyUsageDigitalSignature),
		x509.ExtKeyUsage([]stdx509.ExtKeyUsage{usage}),
		x509.NotBefore(time.Now().Add(-clockSkew)),
		x509.NotAfter(time.Now().Add(lifetime)),
		x509.OverrideSubject(subject),
	)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}

	return &security.CertificateResponse{Ca: ca.Crt, Crt: signed.X509CertificatePEM}, nil
}
