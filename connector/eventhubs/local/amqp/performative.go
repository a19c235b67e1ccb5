package amqp

// Role says which end of a link speaks.
type Role bool

// The two ends of a link.
const (
	RoleSender   Role = false
	RoleReceiver Role = true
)

// Settle modes of a link.
const (
	SenderUnsettled uint8 = 0
	SenderSettled   uint8 = 1
	SenderMixed     uint8 = 2
	ReceiverFirst   uint8 = 0
	ReceiverSecond  uint8 = 1
)

// The performatives. Optional numbers are pointers, nil for null. Optional
// texts are "" and optional maps, arrays and binaries nil for null; an empty
// map that is not nil is sent as an empty map.
type (
	// Open negotiates a connection.
	Open struct {
		ContainerID         string
		Hostname            string
		MaxFrameSize        *uint32 // bytes
		ChannelMax          *uint16
		IdleTimeout         *uint32 // milliseconds
		OutgoingLocales     []Symbol
		IncomingLocales     []Symbol
		OfferedCapabilities []Symbol
		DesiredCapabilities []Symbol
		Properties          Map
	}
	// Begin begins a session on a channel.
	Begin struct {
		RemoteChannel       *uint16
		NextOutgoingID      uint32
		IncomingWindow      uint32
		OutgoingWindow      uint32
		HandleMax           *uint32
		OfferedCapabilities []Symbol
		DesiredCapabilities []Symbol
		Properties          Map
	}
	// Attach attaches a link to a session.
	Attach struct {
		Name                 string
		Handle               uint32
		Role                 Role
		SenderSettleMode     *uint8
		ReceiverSettleMode   *uint8
		Source               *Source
		Target               *Target
		Unsettled            Map
		IncompleteUnsettled  bool
		InitialDeliveryCount *uint32
		MaxMessageSize       *uint64 // bytes
		OfferedCapabilities  []Symbol
		DesiredCapabilities  []Symbol
		Properties           Map
	}
	// Flow updates the state of a session and, with a handle, of a link.
	Flow struct {
		NextIncomingID *uint32
		IncomingWindow uint32
		NextOutgoingID uint32
		OutgoingWindow uint32
		Handle         *uint32
		DeliveryCount  *uint32
		LinkCredit     *uint32
		Available      *uint32
		Drain          bool
		Echo           bool
		Properties     Map
	}
	// Transfer carries a message or, with More, a part of one.
	Transfer struct {
		Handle             uint32
		DeliveryID         *uint32
		DeliveryTag        []byte
		MessageFormat      *uint32
		Settled            *bool
		More               bool
		ReceiverSettleMode *uint8
		State              any
		Resume             bool
		Aborted            bool
		Batchable          bool
	}
	// Disposition tells of the state of deliveries First to Last. State is one
	// of the delivery states, nil, or what else the peer sent.
	Disposition struct {
		Role      Role
		First     uint32
		Last      *uint32
		Settled   bool
		State     any
		Batchable bool
	}
	// Detach detaches a link, for good if Closed.
	Detach struct {
		Handle uint32
		Closed bool
		Error  *Error
	}
	// End ends a session.
	End struct{ Error *Error }
	// Close closes a connection.
	Close struct{ Error *Error }
)

// The SASL frames that a server of the mechanisms ANONYMOUS, PLAIN and the like
// meets: those that need no challenge.
type (
	// SASLMechanisms offers mechanisms.
	SASLMechanisms struct{ Mechanisms []Symbol }
	// SASLInit chooses one of them.
	SASLInit struct {
		Mechanism       Symbol
		InitialResponse []byte
		Hostname        string
	}
	// SASLOutcome ends the exchange. Code 0 is success, 1 refused credentials.
	SASLOutcome struct {
		Code           uint8
		AdditionalData []byte
	}
)

// Termini of a link.
type (
	// Source is where a link's messages come from. A key of Filter names the
	// filter, its value is Described. Address "" is null.
	Source struct {
		Address               string
		Durable               uint32
		ExpiryPolicy          Symbol
		Timeout               uint32 // seconds
		Dynamic               bool
		DynamicNodeProperties Map
		DistributionMode      Symbol
		Filter                Map
		DefaultOutcome        any
		Outcomes              []Symbol
		Capabilities          []Symbol
	}
	// Target is where a link's messages go. Address "" is null.
	Target struct {
		Address               string
		Durable               uint32
		ExpiryPolicy          Symbol
		Timeout               uint32 // seconds
		Dynamic               bool
		DynamicNodeProperties Map
		Capabilities          []Symbol
		// Coordinator marks a coordinator of transactions, which is sent in
		// the place of a target. The other fields but Capabilities are unset.
		Coordinator bool
	}
)

// Delivery states. They are values, not pointers, in Transfer.State and
// Disposition.State.
type (
	// Accepted is the outcome of a message that was taken.
	Accepted struct{}
	// Rejected is the outcome of a message that is wrong or cannot be taken.
	Rejected struct{ Error *Error }
	// Released is the outcome of a message that was not processed.
	Released struct{}
	// Modified is Released with changes to the message.
	Modified struct {
		DeliveryFailed     bool
		UndeliverableHere  bool
		MessageAnnotations Map
	}
	// Received tells how much of a message has arrived.
	Received struct {
		SectionNumber uint32
		SectionOffset uint64
	}
)
