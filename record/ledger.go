package record

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"
)

// The ledger is the simulator's account of what it sent: the evidence that
// verify holds against the store. docs/formats/ledger.md has the format byte
// by byte, and says what survives which kind of crash.

// LedgerSuffix ends the names of ledger files.
const LedgerSuffix = ".ledger"

// LedgerVersion is the version of the file format.
const LedgerVersion = 1

// EntryKind says what a ledger entry stands for.
type EntryKind uint8

// The kinds of entries.
const (
	// Unique is the first send of an event.
	Unique EntryKind = iota
	// Duplicate is a deliberate resend of an earlier event, unchanged.
	Duplicate
	// Malformed is a payload that is not an event, sent on purpose. It has
	// no ID and no Sequence, and is identified by its RawHash.
	Malformed
)

func (k EntryKind) String() string {
	switch k {
	case Unique:
		return "unique"
	case Duplicate:
		return "duplicate"
	case Malformed:
		return "malformed"
	}
	return "kind " + strconv.Itoa(int(k))
}

// Entry is one message that was handed to the log, or was about to be.
type Entry struct {
	Kind EntryKind
	// ID is the event's; zero for Malformed.
	ID ID
	// Fingerprint is that of the event sent; for Malformed the RawHash of
	// the payload.
	Fingerprint uint64
	// Device is the index of the device whose name is the message's key;
	// DeviceName tells the name.
	Device uint32
	// Sequence is the deviceSequenceNumber; -1 for Malformed.
	Sequence int64
	// CreatedAt is the event's createdAt in microseconds; for Malformed the
	// time for which the payload was scheduled.
	CreatedAt int64
	// Acked tells that the log acknowledged the message. Without it the
	// message is in doubt: it may be in the log or not. Writers ignore it.
	Acked bool
	// Reason is what the dead letter must say; Malformed only.
	Reason Reason
}

// LedgerHeader says what a ledger is about.
type LedgerHeader struct {
	// Run names the run.
	Run string `json:"run"`
	// Seed is what all content follows from.
	Seed uint64 `json:"seed,string"`
	// Instance, from 0, is which of the Instances simulators wrote the
	// ledger. It owns the devices whose index modulo Instances is Instance.
	Instance  int `json:"instance"`
	Instances int `json:"instances"`
	// DevicePrefix and the index make a device's name.
	DevicePrefix string `json:"devicePrefix"`
	// Devices is the number of devices of all instances.
	Devices int `json:"devices"`
	// Rate is how many events a second all instances offer together; 0
	// means as many as the log takes.
	Rate float64 `json:"rate"`
	// StartedAt is when the run began, in microseconds.
	StartedAt int64 `json:"startedAt"`
	// Settings are the simulator's remaining settings, as text: a run is
	// continued only with the same.
	Settings map[string]string `json:"settings,omitempty"`
	// Fingerprints is the FingerprintVersion; set by CreateLedger.
	Fingerprints int `json:"fingerprints"`
}

// DeviceName returns the deviceId of a device.
func DeviceName(h *LedgerHeader, device uint32) string {
	return h.DevicePrefix + strconv.FormatUint(uint64(device), 10)
}

// LedgerTotals sums a ledger up. All numbers count messages.
//
//	Offered = Sent + what was due but never handed to the log
//	Sent    = Acked + InDoubt
//	Acked   = Unique + Duplicates + Malformed
//	Unsent  = Offered - Acked
type LedgerTotals struct {
	// Offered is what the schedule asked for until the simulator ended. If
	// it was killed, this is not known beyond Sent.
	Offered int64 `json:"offered"`
	// Unsent was offered but not acknowledged: never handed to the log, or
	// in doubt.
	Unsent int64 `json:"unsent"`
	// Sent was handed to the log (or about to be when the simulator died).
	Sent int64 `json:"sent"`
	// Acked was acknowledged by the log; InDoubt was not, and may be there
	// or not.
	Acked   int64 `json:"acked"`
	InDoubt int64 `json:"inDoubt"`
	// Unique, Duplicates and Malformed are the acknowledged messages of
	// each kind. Unique counts events whose first send was acknowledged.
	Unique     int64 `json:"unique"`
	Duplicates int64 `json:"duplicates"`
	Malformed  int64 `json:"malformed"`
	// Retried counts events and duplicates in doubt that a continued run
	// sent again: the log may hold two copies of each, which is neither an
	// error nor a Duplicate.
	Retried int64 `json:"retried"`
	// FirstAt and LastAt are when the first and the last messages were
	// handed to the log, in microseconds; NoTime if there were none.
	FirstAt int64 `json:"firstAt"`
	LastAt  int64 `json:"lastAt"`
	// Complete: the simulator ended in good order (it was not killed), so
	// that nothing was acknowledged without the ledger knowing.
	Complete bool `json:"complete"`
	// Finished: the simulator did all it was asked to do. Complete and not
	// Finished is a run that was interrupted and can be continued.
	Finished bool `json:"finished"`
}

// add sums up the totals of several instances.
func (t *LedgerTotals) add(o *LedgerTotals) {
	t.Offered += o.Offered
	t.Unsent += o.Unsent
	t.Sent += o.Sent
	t.Acked += o.Acked
	t.InDoubt += o.InDoubt
	t.Unique += o.Unique
	t.Duplicates += o.Duplicates
	t.Malformed += o.Malformed
	t.Retried += o.Retried
	if o.FirstAt != NoTime && (t.FirstAt == NoTime || o.FirstAt < t.FirstAt) {
		t.FirstAt = o.FirstAt
	}
	t.LastAt = max(t.LastAt, o.LastAt)
	t.Complete = t.Complete && o.Complete
	t.Finished = t.Finished && o.Finished
}

// LedgerFile is what one ledger file says.
type LedgerFile struct {
	Path   string
	Header LedgerHeader
	Totals LedgerTotals
	// TornBytes is the length of an unfinished write at the end, which a
	// killed simulator or machine may leave; it is ignored. The messages in
	// it were never handed to the log.
	TornBytes int64
	// Active is how long the simulator ran, interruptions left out.
	Active time.Duration
	// Continued is how often the run was interrupted after it had begun to
	// send, and continued.
	Continued int
}

// LedgerInfo is what all ledger files of a folder say together.
type LedgerInfo struct {
	// Files are in the order of their instances.
	Files []LedgerFile
	// Totals are the sums. Complete and Finished hold only if they hold for
	// every instance, and every instance is there.
	Totals LedgerTotals
	// Missing are the instances, from 0, without a file.
	Missing []int
}

// LedgerCorrupt says that a ledger cannot be relied upon: its bytes are not
// what was written.
type LedgerCorrupt struct {
	Path string
	// Offset is where the damaged block begins.
	Offset int64
	Detail string
}

func (e *LedgerCorrupt) Error() string {
	return fmt.Sprintf("ledger %s is damaged at byte %d: %s", e.Path, e.Offset, e.Detail)
}

// ErrLedgerExists is returned for a ledger that would have to be overwritten.
var ErrLedgerExists = errors.New("there is a ledger already")

// ErrLedgerInUse is returned for a ledger that a running simulator writes.
var ErrLedgerInUse = errors.New("another simulator is writing this ledger")

// ErrNoLedger is returned for a folder without ledger files.
var ErrNoLedger = errors.New("there is no ledger (no *" + LedgerSuffix + " file)")

// The file format.
const (
	ledgerMagic = "MRLEDGER"
	// ledgerFileHead is the magic and the version (uint32).
	ledgerFileHead = len(ledgerMagic) + 4
	// ledgerBlockHead is a block's length and type, and their CRC.
	ledgerBlockHead = 12
	ledgerBlockTail = 4
	// maxLedgerBlock bounds a block's payload, and so what reading one can
	// allocate.
	maxLedgerBlock = 4 << 20
)

// blockType says what a block holds.
type blockType uint32

const (
	blockHeader  blockType = 1
	blockIntents blockType = 2
	blockAcks    blockType = 3
	blockResume  blockType = 4
	blockClose   blockType = 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// reasonCodes are the numbers of the reasons in the file. Never renumber.
var reasonCodes = [...]Reason{0: "", 1: NotJSON, 2: MissingField, 3: WrongType, 4: Oversized, 5: Rejected}

func reasonCode(r Reason) (byte, error) {
	for code, known := range reasonCodes {
		if known == r {
			return byte(code), nil
		}
	}
	return 0, fmt.Errorf("ledger: %q is not a reason the format knows", r)
}

// closing is the payload of a close block.
type closing struct {
	// Unsent is what was due and never handed to the log. The last close
	// block's counts: a continued run sends what an earlier one could not.
	Unsent   int64 `json:"unsent"`
	Finished bool  `json:"finished"`
	At       int64 `json:"at"`
}

// resuming is the payload of a resume block.
type resuming struct {
	At int64 `json:"at"`
	// Retried is how many entries in doubt this session sends again.
	Retried int64 `json:"retried"`
}
