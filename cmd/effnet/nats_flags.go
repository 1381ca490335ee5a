package main

import (
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"effnet/internal/kernel"
	"effnet/search/queue"
)

// natsFlags say where trials are queued.
type natsFlags struct{ server queue.Server }

func (f *natsFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.server.URL, "nats", "", "`URL` of a NATS server with JetStream, or several with commas: nats://host:4222")
	fs.StringVar(&f.server.Creds, "nats-creds", "", "`file` of credentials for it")
	fs.StringVar(&f.server.CA, "nats-ca", "", "`file` of certificates to trust beside tls:// (default: the system's)")
	fs.StringVar(&f.server.Cert, "nats-cert", "", "`file` of a client certificate")
	fs.StringVar(&f.server.Key, "nats-key", "", "`file` of its key")
}

// workerName is this process among others on other machines.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + strconv.Itoa(os.Getpid())
}

// kernelClass names arithmetic that gives the same bits everywhere. An
// assembly implementation is of one kind of CPU; the one in Go is compiled with
// fused operations on some.
func kernelClass(impl string) string {
	if impl == kernel.Generic.Name && runtime.GOARCH != "amd64" {
		return impl + "-" + runtime.GOARCH
	}
	return impl
}

// kernelOf is the implementation behind a class that this machine has.
func kernelOf(class string) (string, error) {
	for _, r := range kernel.Table() {
		if r.Supported && kernelClass(r.Impl.Name) == class {
			return r.Impl.Name, nil
		}
	}
	return "", errors.New("this machine has no kernels " + class)
}

// kernelClasses are those of this machine, the best first, or the one that
// $EFFNET_KERNEL names.
func kernelClasses() ([]string, error) {
	best, err := kernel.Lookup("")
	if err != nil {
		return nil, err
	}
	classes := []string{kernelClass(best.Name)}
	if os.Getenv(kernel.Env) != "" {
		return classes, nil
	}
	for _, r := range kernel.Table() {
		if r.Supported && r.Impl != best {
			classes = append(classes, kernelClass(r.Impl.Name))
		}
	}
	return classes, nil
}

// programRevision tells builds of this program apart, as far as the toolchain
// has noted it.
func programRevision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var rev, modified string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			rev = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = " and changes"
		}
	}
	return strings.TrimSpace(rev + modified)
}
