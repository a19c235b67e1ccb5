package blob

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"millrace/connector"
)

// Place is where a store keeps its objects, as its options say.
type Place struct {
	// What names for people what is kept there, as in "the archive".
	What string
	// Address and Container are those of Open. Default is the folder of a run's
	// data folder that stands for an empty Address.
	Address, Container, Default string
	// Path is the folder in the container; "" is all of it. The name of a run is
	// added to it, unless ExactPath is set.
	Path      string
	ExactPath bool
}

// plainPath are names that need no escaping in any address.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9._/-]+$`)

// Check returns what is wrong with the options container and path.
func (p Place) Check() (problems []error) {
	if p.Container == "" {
		problems = append(problems, errors.New("container: must be set"))
	}
	if err := CheckName(p.Path); err != nil {
		problems = append(problems, fmt.Errorf("path: %w", err))
	} else if !plainPath.MatchString(p.Path) || strings.HasPrefix(p.Path, "_") {
		problems = append(problems, fmt.Errorf(
			"path: %q must be letters, digits, dots, dashes, underscores and slashes, and not begin with an underscore", p.Path))
	}
	return problems
}

// AddressIn is the address for a run whose files are in dataDir: the configured
// one, else a folder in dataDir, else "".
func (p Place) AddressIn(dataDir string) string {
	if p.Address != "" || dataDir == "" {
		return p.Address
	}
	return filepath.Join(dataDir, p.Default)
}

// PathOf is the folder of a run in the container.
func (p Place) PathOf(run string) string {
	if run == "" || p.ExactPath {
		return p.Path
	}
	return p.Path + "_" + run
}

// Open opens the container, without connecting to it.
func (p Place) Open(ctx context.Context, env connector.Env) (Bucket, error) {
	address := p.AddressIn(env.DataDir)
	if address == "" {
		return nil, hinted("set "+EnvConnectionString+", or give the run's --data-dir", "it is not known where to find %s", p.What)
	}
	b, err := Open(ctx, address, p.Container, env.Getenv)
	if err != nil {
		return nil, fmt.Errorf("opening the place of %s: %w", p.What, err)
	}
	return b, nil
}

// Any tells whether there is an object whose name starts with prefix. It creates
// nothing; a container that does not exist is empty.
func Any(ctx context.Context, b Bucket, prefix string) (bool, error) {
	found := errors.New("there is something")
	err := b.List(ctx, prefix, func(Info) error { return found })
	if errors.Is(err, found) {
		return true, nil
	}
	return false, err
}
