package eventhubs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// wantedGroup is the consumer group that group stands for by the configuration
// alone.
func (l *hubLog) wantedGroup(group string) (string, error) {
	if l.cfg.Group != "" {
		group = l.cfg.Group
	}
	switch {
	case group == "":
		return "", &connector.Hinted{Err: errors.New("no consumer group is named"), Hint: "set group in the solution"}
	case strings.EqualFold(group, defaultGroup):
		return defaultGroup, nil
	}
	return groupName(group), nil
}

// groupFor returns the consumer group to read with where group is asked for:
// that one, made if it is missing and may be made, else $Default.
func (l *hubLog) groupFor(ctx context.Context, group string) (string, error) {
	group, err := l.wantedGroup(group)
	if err != nil || group == defaultGroup {
		return group, err
	}
	l.mu.Lock()
	used := l.groups[group]
	l.mu.Unlock()
	if used != "" {
		return used, nil
	}
	used = group
	var refused error
	if !l.fixed {
		refused = l.e.createGroup(ctx, l.hub, group)
	}
	if l.fixed || refused != nil {
		exists, err := l.groupExists(ctx, group)
		if err != nil {
			return "", err
		}
		if !exists {
			used = defaultGroup
			about := []any{"hub", l.hub, "group", group}
			if refused != nil {
				about = append(about, "error", refused)
			}
			l.log.Warn("the consumer group does not exist and is not ours to make; $Default is used instead", about...)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.groups[group] = used
	return used, nil
}

// groupProbe is how long to wait for the service to refuse a group.
const groupProbe = 3 * time.Second

// groupExists tries to read as a member of the group: without the right to
// manage there is no other way to ask. A reader without an epoch takes nothing
// from others; that they hold it off shows that the group is there, and so does
// the lack of any answer, since an empty partition gives none.
func (l *hubLog) groupExists(ctx context.Context, group string) (exists bool, err error) {
	c, err := l.e.consumer(l.hub, group, "")
	if err != nil {
		return false, err
	}
	defer closeClient(c)
	err = l.e.repeat(ctx, fmt.Sprintf("looking for consumer group %s of hub %s", group, l.hub), func(ctx context.Context) error {
		pc, err := c.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{Prefetch: -1,
			StartPosition: azeventhubs.StartPosition{Earliest: ptr(true)}})
		if err != nil {
			return err
		}
		defer closeClient(pc)
		soon, cancel := context.WithTimeout(ctx, groupProbe)
		defer cancel()
		_, err = pc.ReceiveEvents(soon, 1, nil)
		switch {
		case err == nil, ctx.Err() == nil && soon.Err() != nil:
		case faultOf(err) == stolen, faultOf(err) == crowded:
		case faultOf(err) == missing:
			return nil
		default:
			return l.counted(err)
		}
		exists = true
		return nil
	})
	return exists, err
}

// groupName is a name that the service takes: at most 50 characters of those
// allowed. A longer one is cut and told apart by a hash.
func groupName(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-' {
			return r
		}
		return '-'
	}, name)
	if clean == name && len(name) <= maxGroupName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	hash := hex.EncodeToString(sum[:6])
	return strings.Trim(clean[:min(len(clean), maxGroupName-len(hash)-1)], ".-_") + "-" + hash
}

func ptr[T any](v T) *T { return &v }
