package identity_test

import (
	"context"
	"crypto/tls"
	stdx509 "crypto/x509"
	"net"
	"testing"
	"time"

	"github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"talos-migrate.invalid/machine/internal/identity"
)

func certificate(t *testing.T, request identity.Request) *stdx509.Certificate {
	t.Helper()

	ca, err := x509.NewSelfSignedCertificateAuthority(x509.ECDSA(true))
	if err != nil {
		t.Fatal(err)
	}

	pair, err := identity.Issue(x509.NewCertificateAndKeyFromCertificateAuthority(ca), request)
	if err != nil {
		t.Fatal(err)
	}

	parsed, err := pair.GetCert()
	if err != nil {
		t.Fatal(err)
	}

	if err = parsed.CheckSignatureFrom(ca.Crt); err != nil {
		t.Fatal(err)
	}

	return parsed
}

func callBy(t *testing.T, organization string, md metadata.MD) context.Context {
	t.Helper()

	client := certificate(t, identity.Request{CommonName: "client", Organization: organization, Lifetime: time.Hour, Client: true})
	ctx := peer.NewContext(context.Background(), &peer.Peer{AuthInfo: credentials.TLSInfo{
		State: tls.ConnectionState{PeerCertificates: []*stdx509.Certificate{client}},
	}})

	return metadata.NewIncomingContext(ctx, md)
}

func TestServerCertificatesHoldNamesAndAddresses(t *testing.T) {
	got := certificate(t, identity.Request{CommonName: "talos00", Names: []string{"talos00", "127.0.20.1", ""}, Lifetime: time.Hour, Server: true})

	if len(got.DNSNames) != 1 || got.DNSNames[0] != "talos00" {
		t.Errorf("DNS names: %v", got.DNSNames)
	}

	if len(got.IPAddresses) != 1 || !got.IPAddresses[0].Equal(net.ParseIP("127.0.20.1")) {
		t.Errorf("addresses: %v", got.IPAddresses)
	}
}

func TestRolesComeFromTheCertificate(t *testing.T) {
	md := metadata.MD{}
	identity.SetRoles(md, role.MakeSet(role.Admin))

	for organization, wanted := range map[string]role.Role{
		"os:admin":        role.Admin,
		"os:reader":       role.Reader,   // what a reader says of itself does not count
		"os:impersonator": role.Admin,    // another machine's apid is believed
		"os:operator":     role.Operator, // nor an operator
	} {
		if got := identity.PeerRoles(callBy(t, organization, md)); !got.Includes(wanted) || len(got.Strings()) != 1 {
			t.Errorf("%s: %v", organization, got.Strings())
		}
	}
}

func TestMethodsAreRefusedByRole(t *testing.T) {
	const service = "/machine.MachineService/"

	for _, one := range []struct {
		method  string
		role    role.Role
		allowed bool
	}{
		{service + "Version", role.Reader, true},
		{service + "Shutdown", role.Reader, false},
		{service + "Shutdown", role.Operator, true},
		{service + "Reset", role.Operator, false},
		{service + "Reset", role.Admin, true},
		{service + "EtcdSnapshot", role.Reader, false},
		{service + "EtcdSnapshot", role.EtcdBackup, true},
		{service + "EtcdMemberList", role.EtcdBackup, true},
		{service + "Bootstrap", role.Operator, false},
		{service + "Read", role.Operator, false},
		{service + "NotKnownYet", role.Operator, false},
		{service + "NotKnownYet", role.Admin, true},
	} {
		if identity.Allowed(one.method, role.MakeSet(one.role)) != one.allowed {
			t.Errorf("%s by %s: allowed is not %t", one.method, one.role, one.allowed)
		}
	}
}
