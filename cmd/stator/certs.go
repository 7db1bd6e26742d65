package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

type certsCommand struct {
	Dir   string   `type:"path" predictor:"dir" default:"stator-certs" help:"Directory for the files. An authority that is there is used again."`
	Days  int      `default:"3650" help:"How long the certificates are valid."`
	Nodes []string `arg:"" help:"Names for the nodes' files."`
}

// Files of the authority. Its key signs further nodes, and stays off the nodes.
const (
	authorityCert = "ca.pem"
	authorityKey  = "ca-key.pem"
)

// Run writes NAME.pem and NAME-key.pem for each node.
func (c *certsCommand) Run() error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	ca, caKey, err := c.authority()
	if err != nil {
		return err
	}
	for _, name := range c.Nodes {
		if name != filepath.Base(name) || name == "ca" || name == "." {
			return fmt.Errorf("%q cannot be the name of a node's files", name)
		}
		template, err := c.template(name)
		if err != nil {
			return err
		}
		template.KeyUsage = x509.KeyUsageDigitalSignature
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		if _, _, err := c.issue(template, ca, caKey, name+".pem", name+"-key.pem"); err != nil {
			return err
		}
		fmt.Printf("--tls-ca %s --tls-cert %s --tls-key %s\n", c.path(authorityCert), c.path(name+".pem"), c.path(name+"-key.pem"))
	}
	return nil
}

func (c *certsCommand) path(name string) string { return filepath.Join(c.Dir, name) }

// authority reads the one that is there, or makes one.
func (c *certsCommand) authority() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(c.path(authorityCert))
	if errors.Is(err, os.ErrNotExist) {
		template, err := c.template("stator cluster")
		if err != nil {
			return nil, nil, err
		}
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		return c.issue(template, template, nil, authorityCert, authorityKey)
	}
	if err != nil {
		return nil, nil, err
	}
	keyText, err := os.ReadFile(c.path(authorityKey))
	if err != nil {
		return nil, nil, err
	}
	certBlock, _ := pem.Decode(text)
	keyBlock, _ := pem.Decode(keyText)
	if certBlock == nil || keyBlock == nil {
		return nil, nil, fmt.Errorf("%s and %s are not in PEM", authorityCert, authorityKey)
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, nil, err
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("%s is not an ECDSA key", authorityKey)
	}
	return cert, private, nil
}

func (c *certsCommand) template(name string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, c.Days), // clocks differ
	}, nil
}

// issue makes a key and a certificate for it, signed by a parent, or by itself if there
// is no parentKey, and writes both.
func (c *certsCommand) issue(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, certFile, keyFile string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if parentKey == nil {
		parentKey = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(c.path(keyFile), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(c.path(certFile), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}
