package tcp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// LoadTLS reads a node's certificate and key and the certificate of the cluster's
// authority, all in PEM. Whoever shows a certificate of that authority belongs
// to the cluster, whatever its name: nodes are known by their ids, and their
// addresses may change.
func LoadTLS(certFile, keyFile, authorityFile string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(authorityFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate in it", authorityFile)
	}
	config := newTLS(pair, roots)
	if err := verify(roots, pair.Leaf, nil); err != nil {
		return nil, fmt.Errorf("%s is not of the authority in %s: %w", certFile, authorityFile, err)
	}
	return config, nil
}

func newTLS(pair tls.Certificate, roots *x509.CertPool) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS13,
		ClientAuth:   tls.RequireAnyClientCert,
		// Not skipped: VerifyConnection checks the chain of either side; only the
		// name in it does not matter.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errors.New("tcp: no certificate")
			}
			return verify(roots, s.PeerCertificates[0], s.PeerCertificates[1:])
		},
	}
}

func verify(roots *x509.CertPool, leaf *x509.Certificate, others []*x509.Certificate) error {
	between := x509.NewCertPool()
	for _, c := range others {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}
