// Package local is the stand-in for an Apache Kafka cluster: one broker in
// this process, on loopback, that keeps everything in a data directory and
// answers Kafka's own protocol to any client. It wraps franz-go's kfake and
// adds what a log that people rely on needs:
//
//   - a data directory belongs to one process (a lock file), and must be
//     writable and have room, or Start says so;
//   - topics with message.timestamp.type=LogAppendTime get their entries'
//     timestamps from the broker's clock (see stamp.go);
//   - appends are refused with POLICY_VIOLATION, which clients do not repeat,
//     once the disk is nearly full or a write has failed (see disk.go);
//   - after a kill, what kfake knows of idempotent producers is rebuilt from
//     the log (see recover.go), without which a producer's order is lost;
//   - it is not handed out before what was stored has been read back.
//
// What was acknowledged survives SIGKILL of the process. With SyncWrites it
// also survives a power cut, at about two thirds of the speed. A transaction
// over several partitions is not atomic over SIGKILL: its markers are written
// one after the other.
package local

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"millrace/connector"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Options says how to run the stand-in.
type Options struct {
	// DataDir holds the log; it is created if missing. Required.
	DataDir string
	// Host is the address to listen on, 127.0.0.1 if empty. Clients are
	// told this address, so it must be one that they can reach.
	Host string
	// Port is the port to listen on; 0 chooses a free one.
	Port int
	// Username and Password, if set, are required from clients, by
	// Mechanism (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; PLAIN if empty).
	Username, Password, Mechanism string
	// SyncWrites makes every append wait for the disk.
	SyncWrites bool
	// Partitions is how many a topic gets that is created without a number,
	// such as by producing to it; 4 if 0.
	Partitions int
	// SegmentBytes is the size of segment files, 16 MB if 0. After a kill
	// they are read back, one per partition at a time.
	SegmentBytes int64
	// MinFree is the free space of the disk below which appends are
	// refused, 64 MB if 0.
	MinFree int64
	// MinSessionTimeout is the shortest session timeout that members of
	// consumer groups may ask for, 1 s if 0. Kafka's default is 6 s; on
	// loopback silence means sooner that a member is gone.
	MinSessionTimeout time.Duration
	// Log receives what an operator may need to know; nil: nobody does.
	Log *slog.Logger
}

// Server is a running stand-in. It implements connector.Standin.
type Server struct {
	cluster *kfake.Cluster
	addr    string
	dir     string
	lock    *os.File
	disk    *disk
	creator *kgo.Client

	closeOnce sync.Once
}

// Start reads the data directory and serves it. It returns when clients are
// answered.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	lock, err := openDir(o.DataDir)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: o.DataDir, lock: lock, disk: &disk{dir: o.DataDir, min: o.MinFree, log: o.Log}}
	if err := s.start(ctx, o); err != nil {
		s.unlock()
		return nil, err
	}
	return s, nil
}

func (o *Options) defaults() error {
	if o.DataDir == "" {
		return errors.New("the embedded Kafka needs a data directory")
	}
	if o.Port < 0 || o.Port > 65535 {
		return fmt.Errorf("%d is not a port", o.Port)
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if ip := net.ParseIP(o.Host); ip != nil && ip.IsUnspecified() {
		return &connector.Hinted{Err: fmt.Errorf("%s is not an address that clients can be told to connect to", o.Host),
			Hint: "name the address of one network interface"}
	}
	if o.Mechanism == "" {
		o.Mechanism = "PLAIN"
	}
	if o.Partitions == 0 {
		o.Partitions = 4
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 16 << 20
	}
	if o.MinFree == 0 {
		o.MinFree = 64 << 20
	}
	if o.MinSessionTimeout == 0 {
		o.MinSessionTimeout = time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

func (s *Server) start(ctx context.Context, o Options) error {
	if err := s.disk.check(); err != nil {
		return &connector.Hinted{Err: err, Hint: "free some space, or choose another data directory"}
	}
	// Who may connect is said by the options of this start, not by those
	// of an earlier one; and passwords do not stay on disk.
	if err := s.forgetUsers(); err != nil {
		return err
	}
	if err := recoverLog(o.DataDir); err != nil {
		return fmt.Errorf("reading data directory %s: %w", o.DataDir, err)
	}
	opts := []kfake.Opt{
		kfake.Ports(o.Port),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) {
			return net.Listen(network, net.JoinHostPort(o.Host, strconv.Itoa(o.Port)))
		}),
		kfake.ClusterID("millrace"),
		kfake.DataDir(o.DataDir),
		kfake.DefaultNumPartitions(o.Partitions),
		kfake.GroupMinSessionTimeout(o.MinSessionTimeout),
		kfake.WithLogger(brokerLog{s.disk}),
		kfake.MaxVersions(versions()),
		kfake.BrokerConfigs(map[string]string{
			"log.segment.bytes":      strconv.FormatInt(o.SegmentBytes, 10),
			"log.cleaner.backoff.ms": "60000",
		}),
	}
	if o.SyncWrites {
		opts = append(opts, kfake.SyncWrites())
	}
	if o.Username != "" {
		opts = append(opts, kfake.EnableSASL(), kfake.Superuser(o.Mechanism, o.Username, o.Password))
	}
	var err error
	if s.cluster, err = kfake.NewCluster(opts...); err != nil {
		return startError(o, err)
	}
	s.addr = s.cluster.ListenAddrs()[0]
	if err := s.openCreator(o); err != nil {
		s.cluster.Close()
		return err
	}
	st := &stamper{dir: o.DataDir, disk: s.disk, create: s.createLater}
	st.install(s.cluster)
	ignoreCase(s.cluster)
	if o.Username != "" && o.Mechanism == "PLAIN" {
		checkPlain(s.cluster, o.Username, o.Password)
	}
	err = s.forgetUsers()
	if err == nil {
		err = s.ready(ctx)
	}
	if err != nil {
		s.creator.Close()
		s.cluster.Close()
	}
	return err
}

// versions are those of the requests that are answered. From version 5 on,
// CreateTopics is to answer with the new topic's settings, which kfake leaves
// in a form that Kafka's own client cannot read; the same holds for all of
// DescribeTopicPartitions, instead of which clients use Metadata.
func versions() *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.CreateTopics), 4)
	v.SetMaxKeyVersion(int16(kmsg.DescribeTopicPartitions), -1)
	return v
}

// ignoreCase lets clients ask for groups of the type "Classic" as well as
// "classic": Kafka's own tools do the one, kfake knows the other.
func ignoreCase(c *kfake.Cluster) {
	c.ControlKey(int16(kmsg.ListGroups), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		types := kreq.(*kmsg.ListGroupsRequest).TypesFilter
		for i := range types {
			types[i] = strings.ToLower(types[i])
		}
		return nil, nil, false
	})
}

func startError(o Options, err error) error {
	var op *net.OpError
	addr := net.JoinHostPort(o.Host, strconv.Itoa(o.Port))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &connector.Unreachable{What: addr, Hint: "choose another port, or stop what uses this one",
			Err: fmt.Errorf("port %d is taken", o.Port)}
	case errors.As(err, &op):
		return &connector.Unreachable{What: addr, Hint: "choose an address of this machine and a port above 1023", Err: op.Err}
	}
	return fmt.Errorf("starting the embedded Kafka on %s: %w", o.DataDir, err)
}

// checkPlain answers wrong passwords as Kafka does, with an error. kfake would
// close the connection, and would let anybody in who gives an unknown name and
// an empty password.
func checkPlain(c *kfake.Cluster, user, password string) {
	want := []byte(user + "\x00" + password)
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := kreq.(*kmsg.SASLAuthenticateRequest)
		_, got, _ := bytes.Cut(req.SASLAuthBytes, []byte{0}) // after the identity to act as
		if subtle.ConstantTimeCompare(got, want) == 1 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
		resp.ErrorMessage = kmsg.StringPtr("Authentication failed: Invalid username or password")
		return resp, nil, true
	})
}

// ready makes sure that a client is answered.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := s.creator.Ping(ctx); err != nil {
		return fmt.Errorf("the embedded Kafka at %s does not answer: %w", s.addr, err)
	}
	return nil
}

// openCreator makes the client with which missing topics are created.
func (s *Server) openCreator(o Options) (err error) {
	opts := []kgo.Opt{kgo.SeedBrokers(s.addr), kgo.DisableClientMetrics()}
	if o.Username != "" {
		switch auth := (scram.Auth{User: o.Username, Pass: o.Password}); o.Mechanism {
		case "SCRAM-SHA-256":
			opts = append(opts, kgo.SASL(auth.AsSha256Mechanism()))
		case "SCRAM-SHA-512":
			opts = append(opts, kgo.SASL(auth.AsSha512Mechanism()))
		default:
			opts = append(opts, kgo.SASL(plain.Auth{User: o.Username, Pass: o.Password}.AsMechanism()))
		}
	}
	s.creator, err = kgo.NewClient(opts...)
	return err
}

// createLater creates a topic with the broker's defaults. It does not wait:
// the broker calls it in its loop.
func (s *Server) createLater(topic string) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, err := kadm.NewClient(s.creator).CreateTopic(ctx, -1, -1, nil, topic)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) && !errors.Is(err, kgo.ErrClientClosed) {
			s.disk.log.Warn("the embedded Kafka cannot create a topic that was asked for", "topic", topic, "error", err)
		}
	}()
}

// Address implements connector.Standin: host:port.
func (s *Server) Address() string { return s.addr }

// Trouble returns why appends are being refused at the moment, or nil.
func (s *Server) Trouble() error { return s.disk.trouble() }

// Close implements connector.Standin. Clients that are connected are cut off.
func (s *Server) Close() error {
	var err error
	s.closeOnce.Do(func() {
		s.creator.Close()
		s.cluster.Close()
		err = s.forgetUsers()
		s.unlock()
	})
	return err
}

func (s *Server) forgetUsers() error {
	if err := os.Remove(filepath.Join(s.dir, "sasl.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forgetting the users of an earlier start: %w", err)
	}
	return nil
}

func (s *Server) unlock() {
	// Closing the file gives up the lock; the file itself stays, so that
	// two starts never lock two different files of the same name.
	_ = s.lock.Close()
}

// openDir makes the directory, makes sure that it can be written to, and
// takes it for this process.
func openDir(dir string) (lock *os.File, err error) {
	fail := func(err error) (*os.File, error) {
		hint := "choose a directory that you may write to"
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			hint = "free some space, or choose another data directory"
		}
		return nil, &connector.Hinted{Err: fmt.Errorf("cannot use %s as data directory: %w", dir, err), Hint: hint}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fail(err)
	}
	lock, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fail(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner := make([]byte, 20)
		n, _ := lock.ReadAt(owner, 0)
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &connector.Unreachable{What: dir, Hint: "stop the other process, connect to it, or choose another data directory",
				Err: fmt.Errorf("process %s is serving this data directory", owner[:n])}
		}
		return fail(err)
	}
	probe := []byte(strconv.Itoa(os.Getpid()))
	if _, err = lock.WriteAt(probe, 0); err == nil {
		if err = lock.Truncate(int64(len(probe))); err == nil {
			err = lock.Sync()
		}
	}
	if err != nil {
		lock.Close()
		return fail(err)
	}
	return lock, nil
}
