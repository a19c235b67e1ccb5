package local

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// stamper looks at every append before the broker does. It refuses it while
// the disk is in trouble, and gives it the broker's time where the topic wants
// that, which kfake does not do.
//
// An entry's time is its batch's base time plus a difference. For batches
// that are not compressed every difference is set to zero; for compressed
// ones the base time is moved so that the newest entry has the broker's time.
// The batches stay marked as carrying their sender's time (CreateTime),
// because kfake would not keep the checksum right otherwise.
//
// It also creates topics that are asked for and missing: those that kfake
// creates by itself are not on disk before it is closed, so that after SIGKILL
// they would be gone with everything in them.
//
// All methods run inside the broker's single loop.
type stamper struct {
	dir    string
	disk   *disk
	create func(topic string)

	// byName and byID say for each topic whether it wants append time. They
	// are read from the broker's own file when something may have changed.
	byName map[string]bool
	byID   map[[16]byte]bool
	last   int64 // the newest time given, milliseconds: it never goes back
}

func (s *stamper) install(c *kfake.Cluster) {
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := s.produce(req.(*kmsg.ProduceRequest))
		return resp, nil, resp != nil
	})
	c.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		s.metadata(req.(*kmsg.MetadataRequest))
		return nil, nil, false
	})
	forget := func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		s.byName, s.byID = nil, nil
		return nil, nil, false
	}
	for _, key := range []kmsg.Key{kmsg.CreateTopics, kmsg.DeleteTopics, kmsg.AlterConfigs, kmsg.IncrementalAlterConfigs} {
		c.ControlKey(int16(key), forget)
	}
}

// metadata has missing topics created if the client wants that. They are there
// when it asks again, as with Kafka.
func (s *stamper) metadata(req *kmsg.MetadataRequest) {
	if !req.AllowAutoTopicCreation {
		return
	}
	for _, t := range req.Topics {
		if t.Topic == nil || *t.Topic == "" {
			continue
		}
		if _, known := s.byName[*t.Topic]; known {
			continue
		}
		s.load()
		if _, known := s.byName[*t.Topic]; !known {
			s.create(*t.Topic)
		}
	}
}

// produce returns the refusal of req, or nil having stamped it.
func (s *stamper) produce(req *kmsg.ProduceRequest) kmsg.Response {
	if err := s.disk.trouble(); err != nil {
		if req.Acks == 0 {
			return nil
		}
		return refuse(req, err.Error())
	}
	s.last = max(s.last, time.Now().UnixMilli())
	for i := range req.Topics {
		t := &req.Topics[i]
		if !s.wantsAppendTime(t, req.Version >= 13) {
			continue
		}
		for j := range t.Partitions {
			stamp(t.Partitions[j].Records, s.last)
		}
	}
	return nil
}

func refuse(req *kmsg.ProduceRequest, why string) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition = p.Partition
			rp.ErrorCode = kerr.PolicyViolation.Code
			rp.ErrorMessage = &why
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func (s *stamper) wantsAppendTime(t *kmsg.ProduceRequestTopic, byID bool) bool {
	look := func() (wants, known bool) {
		if byID {
			wants, known = s.byID[t.TopicID]
		} else {
			wants, known = s.byName[t.Topic]
		}
		return wants, known
	}
	wants, known := look()
	if !known {
		s.load()
		wants, _ = look()
	}
	return wants
}

// load reads the topics' settings as the broker has just stored them.
func (s *stamper) load() {
	s.byName, s.byID = map[string]bool{}, map[[16]byte]bool{}
	var file struct {
		Topics []struct {
			Name    string            `json:"name"`
			ID      []byte            `json:"id"`
			Configs map[string]string `json:"configs"`
		} `json:"topics"`
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "topics.json"))
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil {
		s.disk.log.Error("the embedded Kafka's topics cannot be read; entries keep their senders' time", "error", err)
		return
	}
	for _, t := range file.Topics {
		wants := t.Configs["message.timestamp.type"] == "LogAppendTime"
		s.byName[t.Name] = wants
		if len(t.ID) == 16 {
			s.byID[[16]byte(t.ID)] = wants
		}
	}
}

// The layout of a record batch (Kafka's message format, magic 2).
const (
	batchMagicAt      = 16
	batchCRCAt        = 17
	batchAttributesAt = 21
	batchFirstTimeAt  = 27
	batchMaxTimeAt    = 35
	batchCountAt      = 57
	batchRecordsAt    = 61
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// stamp gives a batch the time now (milliseconds), in place. A batch that is
// not well formed is left for the broker to refuse.
func stamp(b []byte, now int64) {
	if len(b) < batchRecordsAt || b[batchMagicAt] != 2 ||
		binary.BigEndian.Uint32(b[batchCRCAt:]) != crc32.Checksum(b[batchAttributesAt:], castagnoli) {
		return
	}
	first, newest := now, now
	if attributes := binary.BigEndian.Uint16(b[batchAttributesAt:]); attributes&7 != 0 || !zeroDeltas(b) {
		spread := int64(binary.BigEndian.Uint64(b[batchMaxTimeAt:])) - int64(binary.BigEndian.Uint64(b[batchFirstTimeAt:]))
		first = now - max(spread, 0)
	}
	binary.BigEndian.PutUint64(b[batchFirstTimeAt:], uint64(first))
	binary.BigEndian.PutUint64(b[batchMaxTimeAt:], uint64(newest))
	binary.BigEndian.PutUint32(b[batchCRCAt:], crc32.Checksum(b[batchAttributesAt:], castagnoli))
}

// zeroDeltas sets the time differences of all records to zero without moving
// a byte: a varint of n bytes can say zero in n bytes. It reports whether the
// batch could be walked; if not, nothing was changed.
func zeroDeltas(b []byte) bool {
	count := int(int32(binary.BigEndian.Uint32(b[batchCountAt:])))
	for _, change := range []bool{false, true} {
		rest := b[batchRecordsAt:]
		for range count {
			length, n := binary.Varint(rest)
			if n <= 0 || length < 2 || length > int64(len(rest)-n) {
				return false
			}
			rec := rest[n : n+int(length)]
			_, k := binary.Varint(rec[1:]) // after one byte of attributes
			if k <= 0 {
				return false
			}
			if change {
				for i := 1; i < k; i++ {
					rec[i] = 0x80
				}
				rec[k] = 0
			}
			rest = rest[n+int(length):]
		}
		if len(rest) != 0 {
			return false
		}
	}
	return true
}
