package web

import (
	"strings"
	"time"

	"millrace/connector/eventhubs/local/hub"
)

// CaptureDescription is how Azure's resource manager describes Capture: the
// captureDescription of an event hub. It appears in the JSON API and in
// configuration files.
type CaptureDescription struct {
	Enabled           bool                `json:"enabled"`
	Encoding          string              `json:"encoding,omitempty"`
	IntervalInSeconds int                 `json:"intervalInSeconds,omitempty"`
	SizeLimitInBytes  int64               `json:"sizeLimitInBytes,omitempty"`
	SkipEmptyArchives bool                `json:"skipEmptyArchives"`
	Destination       *CaptureDestination `json:"destination,omitempty"`
}

// CaptureDestination says where the archive goes.
type CaptureDestination struct {
	Name       string                       `json:"name,omitempty"`
	Properties CaptureDestinationProperties `json:"properties"`
}

// CaptureDestinationProperties are what Capture needs to know of its
// destination. The storage account is that of the stand-in's own --storage,
// whatever its resource id says.
type CaptureDestinationProperties struct {
	StorageAccountResourceID string `json:"storageAccountResourceId,omitempty"`
	BlobContainer            string `json:"blobContainer,omitempty"`
	ArchiveNameFormat        string `json:"archiveNameFormat,omitempty"`
}

// The destinations and encodings that the service knows.
const (
	destinationBlob = "EventHubArchive.AzureBlockBlob"
	destinationLake = "EventHubArchive.AzureDataLake"
	encodingAvro    = "Avro"
	encodingDeflate = "AvroDeflate"
)

// The service's defaults, which descriptions spell out.
const (
	defaultInterval   = 300
	defaultSizeLimit  = 314572800
	defaultNameFormat = "{Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}"
	defaultContainer  = "capture"
)

// Spec is the description as the hub keeps it. Windows may be smaller than the
// service allows (60 s, 10 MiB), not larger (900 s, 500 MiB).
func (d *CaptureDescription) Spec() (*hub.CaptureSpec, error) {
	s := &hub.CaptureSpec{Enabled: d.Enabled, SkipEmpty: d.SkipEmptyArchives, Codec: "null",
		Interval: time.Duration(d.IntervalInSeconds) * time.Second, SizeLimit: d.SizeLimitInBytes, Container: defaultContainer}
	switch {
	case d.Encoding == "" || strings.EqualFold(d.Encoding, encodingAvro):
	case strings.EqualFold(d.Encoding, encodingDeflate):
		s.Codec = "deflate"
	default:
		return nil, invalid("encoding must be %s or %s, not %q", encodingAvro, encodingDeflate, d.Encoding)
	}
	if d.IntervalInSeconds < 0 || d.IntervalInSeconds > 900 {
		return nil, invalid("intervalInSeconds must be between 1 and 900 (0: %d), not %d", defaultInterval, d.IntervalInSeconds)
	}
	if d.SizeLimitInBytes < 0 || d.SizeLimitInBytes > 524288000 {
		return nil, invalid("sizeLimitInBytes must be between 1 and 524288000 (0: %d), not %d", defaultSizeLimit, d.SizeLimitInBytes)
	}
	if d.Destination == nil {
		return s, nil
	}
	switch n := d.Destination.Name; {
	case n == "" || strings.EqualFold(n, destinationBlob) || strings.EqualFold(n, destinationLake):
	default:
		return nil, invalid("destination.name must be %s or %s, not %q", destinationBlob, destinationLake, n)
	}
	if c := d.Destination.Properties.BlobContainer; c != "" {
		s.Container = c
	}
	s.NameFormat = d.Destination.Properties.ArchiveNameFormat
	return s, nil
}

// describeCapture spells out a hub's Capture, nil if it has none.
func describeCapture(s *hub.CaptureSpec) *CaptureDescription {
	if s == nil {
		return nil
	}
	d := &CaptureDescription{Enabled: s.Enabled, Encoding: encodingAvro, SkipEmptyArchives: s.SkipEmpty,
		IntervalInSeconds: int(s.Interval / time.Second), SizeLimitInBytes: s.SizeLimit,
		Destination: &CaptureDestination{Name: destinationBlob,
			Properties: CaptureDestinationProperties{BlobContainer: s.Container, ArchiveNameFormat: s.NameFormat}}}
	if s.Codec == "deflate" {
		d.Encoding = encodingDeflate
	}
	if d.IntervalInSeconds == 0 {
		d.IntervalInSeconds = defaultInterval
	}
	if d.SizeLimitInBytes == 0 {
		d.SizeLimitInBytes = defaultSizeLimit
	}
	if s.NameFormat == "" {
		d.Destination.Properties.ArchiveNameFormat = defaultNameFormat
	}
	return d
}
