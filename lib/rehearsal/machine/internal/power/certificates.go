package power

import (
	"crypto/tls"

	"talos-migrate.invalid/machine/internal/identity"
)

// renewCertificates signs apid's certificates for the config in force.
func (b *boot) renewCertificates() error {
	certificates, err := identity.NewCertificates(b.getConfig(), b.machine.Hostname(), b.machine.file.Address)
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
