package local

import (
	"slices"
	"strings"
	"sync"

	"millrace/connector/eventhubs/local/amqp"
)

// maxReceivers is how many receivers without an epoch may read a partition in
// one consumer group at a time.
const maxReceivers = 5

// noEpoch is the epoch of receivers that have none.
const noEpoch int64 = -1

// receivers knows who reads which partition in which consumer group.
type receivers struct {
	mu sync.Mutex
	m  map[receiversKey][]*consumer
}

type receiversKey struct {
	topic     string
	group     string
	partition int32
}

func newReceivers() *receivers { return &receivers{m: map[receiversKey][]*consumer{}} }

// join lets l read, or says why it may not. Those that have to go for it are
// returned; they have left already.
func (r *receivers) join(l *consumer) (evicted []*consumer, refusal *amqp.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := l.key()
	holders := r.m[k]
	current := noEpoch
	for _, h := range holders {
		current = max(current, h.epoch)
	}
	switch {
	case l.epoch == noEpoch && current != noEpoch:
		return nil, amqpError(amqp.ErrorLinkStolen, "At least one receiver for the endpoint is created with epoch of '%d', "+
			"and so non-epoch receiver is not allowed. Either reconnect with a higher epoch, or make sure all epoch receivers are closed or disconnected.", current)
	case l.epoch == noEpoch && len(holders) >= maxReceivers:
		names := make([]string, len(holders))
		for i, h := range holders {
			names[i] = h.receiver
		}
		return nil, amqpError(amqp.ErrorResourceLimitExceeded, "Exceeded the maximum number of allowed receivers per partition in a consumer group which is %d. "+
			"List of connected receivers - %s.", maxReceivers, strings.Join(names, ", "))
	case l.epoch != noEpoch && l.epoch < current:
		return nil, amqpError(amqp.ErrorLinkStolen, "Receiver '%s' with a higher epoch '%d' already exists. Receiver '%s' with epoch %d cannot be created. "+
			"Make sure you are creating receiver with increasing epoch value to ensure connectivity, or ensure all old epoch receivers are closed or disconnected.",
			holders[0].receiver, current, l.receiver, l.epoch)
	case l.epoch == noEpoch:
		r.m[k] = append(holders, l)
		return nil, nil
	}
	r.m[k] = []*consumer{l}
	return holders, nil
}

// leave lets go of what l reads.
func (r *receivers) leave(l *consumer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := l.key()
	i := slices.Index(r.m[k], l)
	if i < 0 {
		return
	}
	rest := slices.Delete(slices.Clone(r.m[k]), i, i+1)
	if len(rest) == 0 {
		delete(r.m, k)
	} else {
		r.m[k] = rest
	}
}

// stolen is what a receiver is told that has to go for another one.
func stolen(by, from *consumer) *amqp.Error {
	return amqpError(amqp.ErrorLinkStolen, "New receiver '%s' with higher epoch of '%d' is created hence current receiver '%s' with epoch '%d' is getting disconnected. "+
		"If you are recreating the receiver, make sure a higher epoch is used.", by.receiver, by.epoch, from.receiver, from.epoch)
}
