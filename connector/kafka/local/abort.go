package local

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Transactions that were open when the broker was killed are aborted by kfake
// in memory only: no marker goes to the log. A reader would then take the same
// producer's next transaction for a part of the aborted one and drop it, and
// after a second kill the next commit would bring the aborted entries back.
// And a producer that repeats its commit would be told that it succeeded,
// because the commit before it had. So the markers are written here, and the
// producers' epochs raised, as Kafka does when it gives a transaction up.

// abortOpen writes the markers for what is open in the partition.
func (p *partition) abortOpen() error {
	if len(p.open) == 0 {
		return nil
	}
	pids := make([]int64, 0, len(p.open))
	for pid := range p.open {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	var data, index []byte
	next := p.next
	for _, pid := range pids {
		b := abortMarker(pid, p.open[pid], p.leaderEpoch, next)
		data = append(data, b...)
		index = append(index, indexEntry(b)...)
		next++
	}
	// After what is whole: kfake would cut off the rest anyway.
	if err := writeAt(filepath.Join(p.dir, fmt.Sprintf("%d.dat", p.lastBase)), data, p.whole); err != nil {
		return err
	}
	return writeAt(filepath.Join(p.dir, fmt.Sprintf("%d.idx", p.lastBase)), index, p.wholeIndex)
}

// writeAt writes data at a position and cuts off what is behind it.
func writeAt(file string, data []byte, at int64) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = f.Truncate(at)
	if err == nil {
		_, err = f.WriteAt(data, at)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// abortMarker is the control batch that ends a transaction.
func abortMarker(pid int64, epoch int16, leaderEpoch int32, offset int64) []byte {
	key := kmsg.ControlRecordKey{Type: kmsg.ControlRecordKeyTypeAbort}
	marker := kmsg.EndTxnMarker{}
	rec := kmsg.Record{Key: key.AppendTo(nil), Value: marker.AppendTo(nil)}
	rec.Length = int32(len(rec.AppendTo(nil)) - 1) // the length itself is one byte
	now := time.Now().UnixMilli()
	b := kmsg.RecordBatch{
		FirstOffset: offset, PartitionLeaderEpoch: leaderEpoch, Magic: 2,
		Attributes:     attributeTransactional | attributeControl,
		FirstTimestamp: now, MaxTimestamp: now,
		ProducerID: pid, ProducerEpoch: epoch, FirstSequence: -1,
		NumRecords: 1, Records: rec.AppendTo(nil),
	}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[batchLengthAt:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[batchCRCAt:], crc32.Checksum(raw[batchAttributesAt:], castagnoli))
	return raw
}

// producerEntry is an entry of kfake's log of producers.
type producerEntry struct {
	Type    string `json:"type"`
	PID     int64  `json:"pid"`
	Epoch   int16  `json:"epoch"`
	TxID    string `json:"txid,omitempty"`
	Timeout int32  `json:"timeout,omitempty"`
	Commit  *bool  `json:"commit,omitempty"`
}

// raiseEpochs raises the epochs of producers whose transactions were aborted,
// so that whatever they still send is refused.
func raiseEpochs(dir string, aborted map[int64]int16) error {
	if len(aborted) == 0 {
		return nil
	}
	file := filepath.Join(dir, "pids.log")
	entries, whole, err := readFrames(file)
	if err != nil {
		return err
	}
	known := map[int64]producerEntry{}
	for _, data := range entries {
		var e producerEntry
		if json.Unmarshal(data, &e) != nil {
			continue
		}
		if k := known[e.PID]; e.Type != "init" {
			e.TxID, e.Timeout = k.TxID, k.Timeout
		}
		known[e.PID] = e
	}
	var out []byte
	for pid, epoch := range aborted {
		e := known[pid]
		e.Type, e.PID, e.Commit = "init", pid, nil
		e.Epoch = max(e.Epoch, epoch) + 1
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		out = appendFrame(out, data)
	}
	return writeAt(file, out, whole)
}

// kfake's logs are frames of length, checksum, format version and data.
const (
	frameHeader  = 8
	frameVersion = 1
)

func appendFrame(dst, data []byte) []byte {
	body := append(binary.LittleEndian.AppendUint16(nil, frameVersion), data...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(body)))
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(body, castagnoli))
	return append(dst, body...)
}

// readFrames returns the data of a log's frames, and how many bytes of it are
// whole frames.
func readFrames(file string) (frames [][]byte, whole int64, err error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	for rest := raw; len(rest) >= frameHeader+2; {
		n := int64(binary.LittleEndian.Uint32(rest))
		if n < 2 || n > int64(len(rest)-frameHeader) {
			break
		}
		body := rest[frameHeader : frameHeader+n]
		if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(rest[4:]) {
			break
		}
		frames = append(frames, body[2:])
		rest = rest[frameHeader+n:]
		whole += frameHeader + n
	}
	return frames, whole, nil
}

// cutFrames removes what is behind the last whole frame: kfake reads no
// further than that, but would go on writing after it.
func cutFrames(file string) error {
	_, whole, err := readFrames(file)
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Size() == whole {
		return nil
	}
	return os.Truncate(file, whole)
}
