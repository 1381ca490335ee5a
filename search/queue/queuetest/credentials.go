// Package queuetest makes what NATS servers for tests need that ask who is there:
// certificates, operators, accounts and users.
package queuetest

import (
	"crypto/tls"
	"os"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// Authority is an operator with an account that has JetStream, and one for the
// system, which a server needs for that.
type Authority struct {
	account  nkeys.KeyPair
	operator *jwt.OperatorClaims
	system   string
	resolver *server.MemAccResolver
}

// NewAuthority makes one with new keys.
func NewAuthority() (*Authority, error) {
	operator, err := nkeys.CreateOperator()
	if err != nil {
		return nil, err
	}
	name, err := operator.PublicKey()
	if err != nil {
		return nil, err
	}
	text, err := jwt.NewOperatorClaims(name).Encode(operator)
	if err != nil {
		return nil, err
	}
	a := &Authority{resolver: &server.MemAccResolver{}}
	if a.operator, err = jwt.DecodeOperatorClaims(text); err != nil {
		return nil, err
	}
	add := func(limits jwt.JetStreamLimits) (nkeys.KeyPair, string, error) {
		key, err := nkeys.CreateAccount()
		if err != nil {
			return nil, "", err
		}
		name, err := key.PublicKey()
		if err != nil {
			return nil, "", err
		}
		c := jwt.NewAccountClaims(name)
		c.Limits.JetStreamLimits = limits
		text, err := c.Encode(operator)
		if err != nil {
			return nil, "", err
		}
		return key, name, a.resolver.Store(name, text)
	}
	if _, a.system, err = add(jwt.JetStreamLimits{}); err != nil {
		return nil, err
	}
	a.account, _, err = add(jwt.JetStreamLimits{DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit})
	return a, err
}

// Trust has a server take those who have credentials of the account, over TLS
// with the certificate.
func (a *Authority) Trust(o *server.Options, cert tls.Certificate) {
	o.TrustedOperators, o.AccountResolver, o.SystemAccount = []*jwt.OperatorClaims{a.operator}, a.resolver, a.system
	o.TLS, o.TLSConfig = true, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
}

// User writes the credentials of a new user of the account, who may do what
// docs/cluster.md says that a search needs, until the time that is given.
func (a *Authority) User(file string, until time.Time) error {
	key, err := nkeys.CreateUser()
	if err != nil {
		return err
	}
	name, err := key.PublicKey()
	if err != nil {
		return err
	}
	c := jwt.NewUserClaims(name)
	c.Expires = until.Unix()
	c.Permissions.Pub.Allow.Add("effnet.>", "$JS.>", "$KV.>", "$O.>", "_INBOX.>")
	c.Permissions.Sub.Allow.Add("effnet.>", "_INBOX.>")
	text, err := c.Encode(a.account)
	if err != nil {
		return err
	}
	seed, err := key.Seed()
	if err != nil {
		return err
	}
	data, err := jwt.FormatUserConfig(text, seed)
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}
