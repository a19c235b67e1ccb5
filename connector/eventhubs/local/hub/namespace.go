package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"millrace/connector"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Namespace is a set of hubs with a common quota.
type Namespace struct {
	cluster *Cluster
	name    string
	prefix  string // of topics and groups, "" for the default namespace
	quota   *Quota
}

// Name returns the namespace's name.
func (n *Namespace) Name() string { return n.name }

// Cluster returns the cluster it belongs to.
func (n *Namespace) Cluster() *Cluster { return n.cluster }

// Quota returns the namespace's throughput units.
func (n *Namespace) Quota() *Quota { return n.quota }

// Topic returns the name of a hub's topic, also of one that does not exist.
func (n *Namespace) Topic(hub string) string {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	if h := n.find(hub); h != nil {
		return h.topic
	}
	return n.topicOf(hub)
}

// topicOf is Topic with cluster.mu held, of a hub that does not exist.
func (n *Namespace) topicOf(hub string) string {
	if s := n.cluster.state.Namespaces[n.key()][hub]; s != nil {
		return s.Topic
	}
	return n.prefix + hub
}

func (n *Namespace) key() string { return strings.ToLower(n.name) }

// HubOfTopic returns which of this namespace's hubs a topic is or would be; ok
// is false if it belongs to another namespace or to the log itself.
func (n *Namespace) HubOfTopic(topic string) (hub string, ok bool) {
	if topic == "" || strings.HasPrefix(topic, "__") {
		return "", false
	}
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	ns, name := n.cluster.owner(topic)
	return name, ns == n
}

// KafkaGroup returns the name that a consumer group of the Kafka protocol has
// in the log. Those groups belong to the namespace and have nothing to do with
// hubs' consumer groups.
func (n *Namespace) KafkaGroup(group string) string { return n.prefix + group }

// OfKafkaGroup is the reverse of KafkaGroup; ok is false if the log's group
// belongs to another namespace.
func (n *Namespace) OfKafkaGroup(group string) (name string, ok bool) {
	for _, other := range n.cluster.namespaces {
		if other.prefix == "" {
			continue
		}
		if name, ok := strings.CutPrefix(group, other.prefix); ok {
			return name, other == n
		}
	}
	return group, n.prefix == ""
}

// find looks a hub up, first as it is written, then in any case. cluster.mu is
// held.
func (n *Namespace) find(name string) *Hub {
	if h := n.cluster.hubs[n.topicOf(name)]; h != nil && h.ns == n && h.name == name {
		return h
	}
	for _, h := range n.cluster.hubs {
		if h.ns == n && strings.EqualFold(h.name, name) {
			return h
		}
	}
	return nil
}

// Hubs lists the hubs by name. If the log is away, they are those known.
func (n *Namespace) Hubs(ctx context.Context) ([]*Hub, error) {
	if err := n.cluster.list(ctx, fresh); err != nil && !passing(err) {
		return nil, err
	}
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	var hubs []*Hub
	for _, h := range n.cluster.hubs {
		if h.ns == n {
			hubs = append(hubs, h)
		}
	}
	slices.SortFunc(hubs, func(a, b *Hub) int { return strings.Compare(a.name, b.name) })
	return hubs, nil
}

// passing tells that the log is away for the moment.
func passing(err error) bool { return connector.ActionOf(err) == connector.Retry }

// Hub finds a hub by its name, whatever its case. The error is ErrNotFound if
// there is none. A known hub is found while the log is away as well.
func (n *Namespace) Hub(ctx context.Context, name string) (*Hub, error) {
	h, recent := n.known(name)
	if h != nil && recent {
		return h, nil
	}
	// A name not heard of is worth asking for at any time: another client
	// may have just created its topic.
	age := time.Duration(0)
	if h != nil {
		age = fresh
	}
	err := n.cluster.list(ctx, age)
	if found, _ := n.known(name); found != nil && (err == nil || passing(err)) {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	return nil, n.noHub(name)
}

func (n *Namespace) noHub(name string) error {
	return notFound("namespace %s has no hub %q", n.name, clip(name))
}

func (n *Namespace) known(name string) (h *Hub, recent bool) {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	return n.find(name), time.Since(n.cluster.listed) < fresh
}

// CreateHub creates a hub. It is ErrExists if there is one of that name, in any
// case, and ErrInvalid if there cannot be one like that.
func (n *Namespace) CreateHub(ctx context.Context, spec Spec) (*Hub, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	if err := n.checkTopic(spec.Name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	c := n.cluster
	if err := c.hold(ctx); err != nil {
		return nil, err
	}
	defer c.letGo()
	if err := c.listLocked(ctx, 0); err != nil {
		return nil, err
	}
	c.mu.Lock()
	if h := n.find(spec.Name); h != nil && h.missing.IsZero() {
		c.mu.Unlock()
		return nil, &said{fmt.Sprintf("hub %s already exists in namespace %s", h.name, n.name), ErrExists}
	}
	// The description comes first: a hub whose topic is missing does not
	// exist, but a topic without description would be a hub without groups.
	topic := n.prefix + spec.Name
	now := time.Now().UTC().Truncate(time.Millisecond)
	before := n.describe(spec.Name, &hubState{Topic: topic, Created: now,
		Groups: uniqueGroups(spec.Groups), Capture: spec.Capture.since(nil, now)})
	err := c.state.save(c.opts.StateFile)
	c.mu.Unlock()
	if err == nil {
		err = c.createTopic(ctx, topic, spec)
	}
	if err != nil {
		c.mu.Lock()
		n.describe(spec.Name, before)
		err = errors.Join(err, c.state.save(c.opts.StateFile))
		c.mu.Unlock()
		return nil, err
	}
	var h *Hub
	err = c.waitFor(ctx, "waiting for the leaders of hub "+spec.Name, func() bool {
		h = c.hubOf(topic)
		return h != nil && h.partitionCount() == spec.Partitions && c.led(ctx, topic)
	})
	return h, err
}

// describe replaces a hub's description, nil: removes it, and returns the
// former one. cluster.mu is held.
func (n *Namespace) describe(name string, s *hubState) (before *hubState) {
	hubs := n.cluster.state.Namespaces[n.key()]
	if hubs == nil {
		hubs = map[string]*hubState{}
		n.cluster.state.Namespaces[n.key()] = hubs
	}
	before = hubs[name]
	if s == nil {
		delete(hubs, name)
	} else {
		hubs[name] = s
	}
	return before
}

func uniqueGroups(groups []string) []string {
	s := hubState{}
	for _, g := range groups {
		if _, there := s.hasGroup(g); !there {
			s.Groups = append(s.Groups, g)
		}
	}
	return s.Groups
}

// checkTopic refuses hubs whose topic could not exist or would be taken for
// another namespace's.
func (n *Namespace) checkTopic(name string) error {
	topic := n.prefix + name
	if len(topic) > maxTopicName {
		return invalid(fmt.Sprintf("at most %d characters are left for it", maxTopicName-len(n.prefix)),
			"hub %s has too long a name for a topic of the log", clip(name))
	}
	for _, other := range n.cluster.namespaces {
		if n.prefix == "" && other.prefix != "" && strings.HasPrefix(topic, other.prefix) {
			return invalid("choose another name, or create it in namespace "+other.name,
				"hub %s would be taken for one of namespace %s", clip(name), other.name)
		}
	}
	return nil
}

// configure makes a hub as the options describe it, or brings an existing one
// closer to that.
func (n *Namespace) configure(ctx context.Context, spec Spec) error {
	if _, err := n.CreateHub(ctx, spec); !errors.Is(err, ErrExists) {
		return err
	}
	h, err := n.Hub(ctx, spec.Name)
	if err != nil {
		return err
	}
	info := h.Info()
	if spec.Partitions != 0 && spec.Partitions != info.Partitions {
		n.cluster.log.Warn("a hub has another number of partitions than configured; that cannot be changed",
			"hub", h.name, "partitions", info.Partitions, "configured", spec.Partitions)
	}
	return n.change(ctx, h.name, func(s *hubState) error {
		for _, g := range spec.Groups {
			if _, there := s.hasGroup(g); !there {
				s.Groups = append(s.Groups, g)
			}
		}
		if spec.Capture != nil {
			s.Capture = spec.Capture.since(s.Capture, time.Now().UTC().Truncate(time.Millisecond))
		}
		return nil
	})
}

// UpdateHub changes the retention (0: leaves it) and the Capture description
// (nil: removes it) of a hub. Groups are not looked at. The number of partitions
// must be 0 or what it is, else the error is ErrInvalid.
func (n *Namespace) UpdateHub(ctx context.Context, spec Spec) (*Hub, error) {
	h, err := n.Hub(ctx, spec.Name)
	if err != nil {
		return nil, err
	}
	info := h.Info()
	if spec.Partitions != 0 && spec.Partitions != info.Partitions {
		return nil, invalid("create another hub with as many", "hub %s has %d partitions, which cannot be changed", h.name, info.Partitions)
	}
	newRetention := spec.Retention
	spec.Name, spec.Partitions, spec.Groups = h.name, info.Partitions, nil
	if newRetention == 0 {
		spec.Retention = info.Retention
	}
	if newRetention != 0 || spec.Capture != nil {
		if err := spec.check(); err != nil {
			return nil, err
		}
	}
	if newRetention != 0 && newRetention != info.Retention {
		if err := n.setRetention(ctx, h, newRetention); err != nil {
			return nil, err
		}
	}
	err = n.change(ctx, h.name, func(s *hubState) error {
		s.Capture = spec.Capture.since(s.Capture, time.Now().UTC().Truncate(time.Millisecond))
		return nil
	})
	return h, err
}

func (n *Namespace) setRetention(ctx context.Context, h *Hub, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	ms := fmt.Sprint(d.Milliseconds())
	resp, err := n.cluster.adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &ms}}, h.topic)
	for _, r := range resp {
		err = errors.Join(err, r.Err)
	}
	if err != nil {
		return n.cluster.explain(err, "changing the retention of hub %s", h.name)
	}
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	h.retention = d
	n.cluster.touch()
	return nil
}

// change edits the description of an existing hub and saves it.
func (n *Namespace) change(ctx context.Context, name string, edit func(*hubState) error) error {
	h, err := n.Hub(ctx, name)
	if err != nil {
		return err
	}
	c := n.cluster
	if err := c.hold(ctx); err != nil {
		return err
	}
	defer c.letGo()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state.Namespaces[n.key()][h.name]
	if s == nil {
		s = &hubState{Topic: h.topic, Created: h.seen}
	}
	s = s.clone()
	if err := edit(s); err != nil {
		return err
	}
	before := n.describe(h.name, s)
	if err := c.state.save(c.opts.StateFile); err != nil {
		n.describe(h.name, before)
		return err
	}
	c.touch()
	return nil
}

// CreateGroup creates a consumer group of a hub: ErrExists if it has one of that
// name in any case, ErrNotFound if there is no such hub.
func (n *Namespace) CreateGroup(ctx context.Context, hub, group string) error {
	if err := checkGroup(group); err != nil {
		return err
	}
	return n.change(ctx, hub, func(s *hubState) error {
		if g, there := s.hasGroup(group); there {
			return &said{fmt.Sprintf("hub %s already has the consumer group %s", hub, g), ErrExists}
		}
		if len(s.Groups)+1 >= MaxGroups {
			return invalid("delete one that is not used", "hub %s has %d consumer groups, which is all it can have", hub, MaxGroups)
		}
		s.Groups = append(s.Groups, group)
		return nil
	})
}

// DeleteGroup deletes a consumer group of a hub. $Default cannot be deleted.
func (n *Namespace) DeleteGroup(ctx context.Context, hub, group string) error {
	if strings.EqualFold(group, DefaultGroup) {
		return invalid("delete the hub if nobody needs it", "consumer group %s cannot be deleted", DefaultGroup)
	}
	return n.change(ctx, hub, func(s *hubState) error {
		g, there := s.hasGroup(group)
		if !there {
			return notFound("hub %s has no consumer group %q", hub, clip(group))
		}
		s.Groups = slices.DeleteFunc(s.Groups, func(x string) bool { return x == g })
		return nil
	})
}

// DeleteHub deletes a hub with its events and groups. Appends that are waiting
// and readers end with ErrNotFound.
func (n *Namespace) DeleteHub(ctx context.Context, name string) error {
	h, err := n.Hub(ctx, name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	c := n.cluster
	if err := c.hold(ctx); err != nil {
		return err
	}
	defer c.letGo()
	if c.hubOf(h.topic) != h {
		return n.noHub(name) // deleted by somebody else meanwhile
	}
	resp, err := c.adm.DeleteTopics(ctx, h.topic)
	if err == nil {
		err = resp[h.topic].Err
	}
	if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
		return c.explain(err, "deleting topic %s", h.topic)
	}
	h.remove()
	c.mu.Lock()
	delete(c.hubs, h.topic)
	n.describe(h.name, nil)
	err = c.state.save(c.opts.StateFile)
	c.touch()
	c.mu.Unlock()
	if err != nil {
		return err
	}
	// Until the topic is out of sight, it would be found and taken for a hub.
	for {
		meta, err := askMeta(ctx, c.cl, h.topic)
		if err == nil && errors.Is(meta.topics[h.topic].err, kerr.UnknownTopicOrPartition) {
			return nil
		}
		select {
		case <-ctx.Done():
			return c.explain(errors.Join(err, ctx.Err()), "waiting for topic %s to be gone", h.topic)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
