package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/internal/filequery"
	"millrace/record"
)

// Store is a connector.Store in plain files. It is one worker: its claims are
// kept here, and a second worker needs a Store of its own. Safe for concurrent
// use.
type Store struct {
	cfg    Config
	env    connector.Env
	bucket blob.Bucket
	// prefix is what all names begin with.
	prefix  string
	encoder *encoder

	mu sync.Mutex
	// formed is set once the folder is known to have this store's format.
	formed bool
	chains map[int32]*chain
}

var _ connector.Store = (*Store)(nil)

// Open implements connector.StoreConfig. Nothing is connected to or created
// before the store is used.
func (c *Config) Open(ctx context.Context, env connector.Env) (connector.Store, error) {
	bucket, err := c.bucket(ctx, env)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: *c, env: env, bucket: bucket, prefix: c.PathOf(env.Run) + "/", chains: make(map[int32]*chain)}
	if s.encoder, err = newEncoder(c); err != nil {
		return nil, errors.Join(fmt.Errorf("the options of the files: %w", err), bucket.Close())
	}
	return s, nil
}

// Describe implements connector.Store.
func (s *Store) Describe() string {
	return s.cfg.Format + " files " + strings.TrimSuffix(s.prefix, "/") + " in " + s.bucket.Describe()
}

// Traits implements connector.Store.
func (s *Store) Traits() connector.Traits {
	layout := s.cfg.Format
	if codec := s.cfg.codec(); codec != "none" {
		layout += " with " + codec
	}
	return connector.Traits{Kind: connector.AppendOnce, Writers: s.cfg.Writers, MaxRows: s.cfg.MaxRows,
		Linger: s.cfg.RollInterval.D(), Shared: true,
		Layout: fmt.Sprintf("%s, a file per partition every %s", layout, s.cfg.RollInterval)}
}

// Close implements connector.Store.
func (s *Store) Close() error { return s.bucket.Close() }

// formatNote is what format.json says.
type formatNote struct {
	// Suffix is how the names of the files end.
	Suffix string `json:"suffix"`
}

// Prepare implements connector.Store: it creates the container or folder, and
// notes the format of the files there. It fails if they have another one.
func (s *Store) Prepare(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.bucket.Prepare(ctx); err != nil {
		return fmt.Errorf("preparing %s: %w", s.Describe(), err)
	}
	return s.form(ctx)
}

// form makes sure of the format.
func (s *Store) form(ctx context.Context) error {
	s.mu.Lock()
	formed := s.formed
	s.mu.Unlock()
	if formed {
		return nil
	}
	name := s.prefix + meta + "format.json"
	var there formatNote
	err := s.get(ctx, name, &there)
	if errors.Is(err, blob.ErrNotFound) {
		text, _ := json.Marshal(formatNote{s.cfg.suffix()}) // it cannot fail
		if _, err = s.bucket.PutNew(ctx, name, strings.NewReader(string(text))); err == nil {
			there.Suffix = s.cfg.suffix()
		} else if errors.Is(err, blob.ErrExists) {
			err = s.get(ctx, name, &there)
		}
	}
	if err != nil {
		return fmt.Errorf("preparing %s: %w", s.Describe(), err)
	}
	if there.Suffix != s.cfg.suffix() {
		return &connector.Hinted{Hint: "choose another serve.path, or the format and compression that the files have",
			Err: fmt.Errorf("%s: the folder has files named *%s, these would be *%s", s.Describe(), there.Suffix, s.cfg.suffix())}
	}
	s.mu.Lock()
	s.formed = true
	s.mu.Unlock()
	return nil
}

// get reads a small object of JSON.
func (s *Store) get(ctx context.Context, name string, into any) error {
	text, err := blob.ReadAll(ctx, s.bucket, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s is damaged: %w", name, err)
	}
	return nil
}

// put writes a small object of JSON, replacing an earlier one.
func (s *Store) put(ctx context.Context, name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = s.bucket.Put(ctx, name, strings.NewReader(string(text)))
	return err
}

// Scan implements connector.Store: it reads the files that are there when it
// begins, several at once.
func (s *Store) Scan(ctx context.Context, fn func(*record.Stored) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	all, err := s.objects(ctx)
	if err != nil {
		return err
	}
	read := func(ctx context.Context, o object, emit func(*record.Stored) error) error {
		return readObject(ctx, s.bucket, o, filequery.ScratchIn(s.env.DataDir), emit)
	}
	return filequery.Scan(ctx, s.cfg.Threads, slices.Values(all), read, fn)
}

// Drop implements connector.Store: it deletes the files, unless ExactPath says
// that others use the folder.
func (s *Store) Drop(ctx context.Context) error {
	if s.cfg.ExactPath {
		return nil
	}
	// What is known about the files goes first: it must not outlive them.
	for _, prefix := range []string{meta, ""} {
		err := s.bucket.List(ctx, s.prefix+prefix, func(i blob.Info) error { return s.bucket.Delete(ctx, i.Name) })
		if err != nil {
			return fmt.Errorf("deleting %s: %w", s.Describe(), err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.formed = false
	clear(s.chains)
	return nil
}
