package cosmosdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// messageOf is the message in an error's body, without the service's diagnostic
// tail.
func messageOf(r *http.Response) string {
	if r == nil || r.Body == nil {
		return ""
	}
	body, err := runtime.Payload(r) // the SDK has read it and kept it
	if err != nil {
		return ""
	}
	var said struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &said) != nil {
		return ""
	}
	text := said.Message
	for _, tail := range []string{"\r\nActivityId:", "\nActivityId:", ", \r\nRequestStartTime:", "\r\nRequestStartTime:"} {
		text, _, _ = strings.Cut(text, tail)
	}
	return unwrapped(text)
}

// wrapping stands before JSON in messages.
const wrapping = "Message: "

// unwrapped takes a message out of the JSON in which the service has it, at
// times: Message: {"Errors":["..."]}.
func unwrapped(text string) string {
	var in struct{ Errors []string }
	rest, ok := strings.CutPrefix(text, wrapping)
	if !ok || json.Unmarshal([]byte(rest), &in) != nil || len(in.Errors) == 0 {
		return text
	}
	return strings.Join(in.Errors, " ")
}

// Prepare implements connector.Store: it creates the database and the
// container. A container that is there already must have the configured
// partition key and unique key. Its throughput is adjusted if it has some of
// the configured sort and another amount: two runs of the same solution with
// different settings should get what they ask for. A fixed throughput is not
// turned into autoscale or back, which may be somebody's decision about money;
// that is a warning.
func (s *Store) Prepare(ctx context.Context) error {
	ctx, cancel := within(ctx)
	defer cancel()
	err := s.account.repeat(ctx, fmt.Sprintf("creating the database %q", s.cfg.Database), nil, func() error {
		if _, err := s.database.Read(ctx, nil); faultOf(err) != missing || err == nil {
			return err
		}
		_, err := s.account.client.CreateDatabase(ctx, azcosmos.DatabaseProperties{ID: s.cfg.Database}, nil)
		return unlessConflict(err)
	})
	if err != nil {
		return err
	}
	var found azcosmos.ContainerResponse
	created := false
	err = s.account.repeat(ctx, fmt.Sprintf("creating the container %q", s.name), nil, func() error {
		var err error
		if found, err = s.container.Read(ctx, nil); err == nil || faultOf(err) != missing {
			return err
		}
		created, err = s.create(ctx)
		if err == nil && !created {
			found, err = s.container.Read(ctx, nil)
		}
		return err
	})
	if err != nil || created {
		return err
	}
	if err := s.fits(found.ContainerProperties); err != nil {
		return err
	}
	return s.adjust(ctx)
}

// unlessConflict is err, unless another worker has been faster.
func unlessConflict(err error) error {
	if err != nil && faultOf(err) == conflict {
		return nil
	}
	return err
}

// create creates the container; false if another worker has been faster.
func (s *Store) create(ctx context.Context) (bool, error) {
	var o azcosmos.CreateContainerOptions
	switch ru := int32(s.cfg.Throughput); {
	case ru == 0:
	case s.cfg.Autoscale:
		t := azcosmos.NewAutoscaleThroughputProperties(ru)
		o.ThroughputProperties = &t
	default:
		t := azcosmos.NewManualThroughputProperties(ru)
		o.ThroughputProperties = &t
	}
	_, err := s.database.CreateContainer(ctx, s.properties(), &o)
	switch {
	case err == nil:
		return true, nil
	case faultOf(err) == conflict:
		return false, nil
	case faultOf(err) == unacceptable && o.ThroughputProperties != nil && strings.Contains(strings.ToLower(messageOf(answerOf(err))), "serverless"):
		return false, &connector.Hinted{Hint: "set serve.throughput to 0",
			Err: &plainError{"a serverless account takes no throughput", err}}
	}
	return false, err
}

// properties describe the container.
func (s *Store) properties() azcosmos.ContainerProperties {
	p := azcosmos.ContainerProperties{
		ID: s.name,
		PartitionKeyDefinition: azcosmos.PartitionKeyDefinition{Kind: azcosmos.PartitionKeyKindHash, Version: 2,
			Paths: []string{s.cfg.PartitionKey}},
		IndexingPolicy: &azcosmos.IndexingPolicy{Automatic: true, IndexingMode: azcosmos.IndexingModeConsistent},
	}
	for _, path := range s.cfg.Indexing.Included {
		p.IndexingPolicy.IncludedPaths = append(p.IndexingPolicy.IncludedPaths, azcosmos.IncludedPath{Path: path})
	}
	for _, path := range s.cfg.Indexing.Excluded {
		p.IndexingPolicy.ExcludedPaths = append(p.IndexingPolicy.ExcludedPaths, azcosmos.ExcludedPath{Path: path})
	}
	if s.cfg.UniqueKey != "" {
		p.UniqueKeyPolicy = &azcosmos.UniqueKeyPolicy{UniqueKeys: []azcosmos.UniqueKey{{Paths: []string{s.cfg.UniqueKey}}}}
	}
	return p
}

// fits checks that a container which exists is the one that is configured.
func (s *Store) fits(p *azcosmos.ContainerProperties) error {
	hinted := func(format string, args ...any) error {
		return &connector.Hinted{Err: fmt.Errorf("the container %q of Cosmos DB at %s has "+format, append([]any{s.name, s.account.host}, args...)...),
			Hint: "choose another serve.container, or delete this one"}
	}
	if !slices.Equal(p.PartitionKeyDefinition.Paths, []string{s.cfg.PartitionKey}) {
		return hinted("the partition key %s, not %s", strings.Join(p.PartitionKeyDefinition.Paths, ", "), s.cfg.PartitionKey)
	}
	var unique []string
	if p.UniqueKeyPolicy != nil {
		for _, k := range p.UniqueKeyPolicy.UniqueKeys {
			unique = append(unique, strings.Join(k.Paths, "+"))
		}
	}
	var want []string
	if s.cfg.UniqueKey != "" {
		want = []string{s.cfg.UniqueKey}
	}
	if !slices.Equal(unique, want) {
		return hinted("the unique keys [%s], not [%s]; they cannot be changed", strings.Join(unique, " "), strings.Join(want, " "))
	}
	return nil
}

// adjust brings the throughput of a container that exists to the configured
// one; what it cannot or should not change is a warning.
func (s *Store) adjust(ctx context.Context) error {
	want := int32(s.cfg.Throughput)
	if want == 0 {
		return nil
	}
	warn := func(text string, args ...any) {
		s.account.log.Warn("Cosmos DB: the container keeps the throughput that it has", append([]any{"container", s.name, "why", text}, args...)...)
	}
	var now azcosmos.ThroughputResponse
	err := s.account.repeat(ctx, "reading the container's throughput", nil, func() (err error) {
		now, err = s.container.ReadThroughput(ctx, nil)
		return err
	})
	var answer *plainError
	switch {
	case err != nil && errors.As(err, &answer) && answerOf(answer) != nil && connector.ActionOf(err) == connector.Fail:
		// None of its own (shared in the database, serverless), or no right
		// to see it.
		warn("it has none of its own, or it cannot be read: " + detail(answer.err))
		return nil
	case err != nil:
		return err
	}
	manual, isManual := now.ThroughputProperties.ManualThroughput()
	most, isAuto := now.ThroughputProperties.AutoscaleMaxThroughput()
	var to azcosmos.ThroughputProperties
	switch {
	case !s.cfg.Autoscale && isManual && !isAuto:
		if manual == want {
			return nil
		}
		to = azcosmos.NewManualThroughputProperties(want)
	case s.cfg.Autoscale && isAuto:
		if most == want {
			return nil
		}
		to = azcosmos.NewAutoscaleThroughputProperties(want)
	default:
		warn("it is of the other sort", "autoscale", isAuto, "requestUnits", max(manual, most))
		return nil
	}
	_, err = s.container.ReplaceThroughput(ctx, to, nil)
	if err != nil {
		warn("the service does not change it: "+detail(err), "requestUnits", max(manual, most), "configured", want)
		return ctx.Err()
	}
	s.account.log.Info("Cosmos DB: throughput changed", "container", s.name, "from", max(manual, most), "to", want)
	return nil
}

// Drop implements connector.Store: it deletes the container. The database
// stays, others may use it.
func (s *Store) Drop(ctx context.Context) error {
	ctx, cancel := within(ctx)
	defer cancel()
	return s.account.repeat(ctx, fmt.Sprintf("deleting the container %q", s.name), nil, func() error {
		_, err := s.container.Delete(ctx, nil)
		if err != nil && faultOf(err) == missing {
			return nil
		}
		return err
	})
}
