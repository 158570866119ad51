package power

import (
	"crypto/tls"

	"talos-migrate.invalid/machine/internal/identity"
)

// renewCertificates signs apid's certificates for the config in force.
func (b *boot) renewCertificates() error {
	sign := b.workerCertificates
	if isControlPlane(b.getConfig()) {
		sign = func() (*identity.Certificates, error) {
			return identity.NewCertificates(b.getConfig(), b.machine.Hostname(), b.machine.file.Address)
		}
	}

	certificates, err := sign()
	if err != nil {
		return err
	}

	b.mu.Lock()
	b.certificates = certificates
	b.mu.Unlock()

	return nil
}

// dynamicTLS lets connections that are made after a change of config see the new certificates.
func (b *boot) dynamicTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			b.mu.Lock()
			defer b.mu.Unlock()

			return b.certificates.ServerTLS(), nil
		},
	}
}

// withoutClientCertificate is for who cannot have a certificate yet.
func withoutClientCertificate(base func(*tls.ClientHelloInfo) (*tls.Config, error)) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	return func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		serving, err := base(hello)
		if err != nil {
			return nil, err
		}

		serving = serving.Clone()
		serving.ClientAuth = tls.NoClientCert
		serving.VerifyPeerCertificate = nil

		return serving, nil
	}
}
